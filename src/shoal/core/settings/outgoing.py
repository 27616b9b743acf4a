"""`outgoing`: what models may fetch from addresses that callers name, as a node's operator says."""

from __future__ import annotations

from typing import Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from shoal.core.outgoing.policy import VARIABLE, Allow


class OutgoingSettings(BaseModel):
    """The bounds of `shoal.fetch` in the workers of a node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schemes: tuple[Literal["http", "https"], ...] = Field(("https", "http"), description="What is fetched over.")
    hosts: tuple[str, ...] | None = Field(
        None, description='Hosts that may be asked, such as `[images.example.org, "*.cdn.example"]`; null: all.'
    )
    private: bool = Field(
        False, description="Whether addresses of this machine and this site may be asked; metadata of clouds never is."
    )

    def variables(self, own_ports: tuple[int, ...]) -> dict[str, str]:
        """What tells a worker; nothing where all is as by default.

        Args:
            own_ports: of this node; not called even where private addresses are. 0 stands for none.
        """
        if self == OutgoingSettings.model_validate({}):
            return {}
        ports = tuple(port for port in own_ports if port)
        allow = Allow(schemes=self.schemes, hosts=self.hosts, private=self.private, own_ports=ports)
        return {VARIABLE: msgspec.json.encode(allow).decode()}
