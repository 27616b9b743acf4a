"""Settings of namespaces: how much each may hold in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from shoal.core.access import ANY
from shoal.core.quotas import KINDS, UNLIMITED, Limits
from shoal.core.settings.node import Size


class QuotaSettings(BaseModel):
    """What one namespace may hold; what is not said is as for `*`, and null is any amount."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: int | None = Field(None, ge=0, description="Models that are not deleted; by default any number.")
    versions: int | None = Field(
        None, ge=0, description="Versions of all its models that are not deleted; by default any number."
    )
    services: int | None = Field(
        None, ge=0, description="Services that are not deleted, each environment for itself; by default any number."
    )
    bytes: Size | None = Field(
        None,
        ge=0,
        description="Bytes of the files of its versions, such as `50Gi`, deleted ones among them until they are "
        "forgotten for good; by default any number.",
    )

    def over(self, below: Limits) -> Limits:
        """These limits, and those of below where nothing is said."""
        return Limits(**{kind: getattr(self if kind in self.model_fields_set else below, kind) for kind in KINDS})


def limits_of(quotas: Mapping[str, QuotaSettings]) -> Callable[[str], Limits]:
    """Tells each namespace's limits."""
    every = quotas[ANY].over(UNLIMITED) if ANY in quotas else UNLIMITED
    named = {name: each.over(every) for name, each in quotas.items() if name != ANY}
    return lambda namespace: named.get(namespace, every)
