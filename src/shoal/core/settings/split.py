"""Settings of a node that is split over processes: how many there are, and how they find and trust each other."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

SOCKET = "unix:"
"""How a place to listen at begins that is a Unix socket's path."""


class PeerSettings(BaseModel):
    """Mutual TLS between the parts of a node on different machines; on one machine they use Unix sockets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cert: Path = Field(description="PEM file with the chain of the certificate that this process shows.")
    key: Path = Field(description="PEM file with its private key.")
    authority: Path = Field(description="PEM file with the certificates that the other side's must be signed by.")


class SplitSettings(BaseModel):
    """What `shoal serve` and the single roles need to know of a split node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gateways: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Gateway processes that share the data port. Without this and `proxies`, one process does all.",
    )
    proxies: int | None = Field(
        None, ge=1, le=64, description="Proxy processes, each with its own batches and workers; see `gateways`."
    )
    reuse_port: bool = Field(False, description="Share the data port with other gateways of this machine.")
    proxies_at: str | None = Field(
        None, description="Where a gateway finds its proxies: a folder of sockets, or `HOST:PORT,HOST:PORT`."
    )
    directory: Path | None = Field(
        None, description="File with a `HOST:PORT` of a proxy in each line; followed as it changes."
    )
    workers_at: str | None = Field(
        None,
        description="Where a proxy finds hosts of workers: a folder of sockets, or `HOST:PORT,HOST:PORT`; by default"
        " its workers are its own.",
    )
    workers_directory: Path | None = Field(
        None, description="File with a `HOST:PORT` of a host of workers in each line; followed as it changes."
    )
    listen: str | None = Field(
        None,
        description="Where a proxy listens for gateways, or a host of workers for proxies: `unix:PATH`, or `HOST:PORT`"
        " with `peers`.",
    )
    operations: str | None = Field(
        None,
        description="`HOST:PORT` where a proxy or a host of workers answers `/metrics` and `/v2/health/*`; by default"
        " nowhere.",
    )
    peers: PeerSettings | None = Field(
        None, description="Mutual TLS between gateways, proxies and hosts of workers over TCP."
    )

    @property
    def is_split(self) -> bool:
        """Whether gateways and proxies are processes of their own."""
        return self.gateways is not None or self.proxies is not None

    @property
    def workers_elsewhere(self) -> bool:
        """Whether hosts of workers run the models, instead of workers of its own."""
        return bool(self.workers_at or self.workers_directory)

    @model_validator(mode="after")
    def _one_directory(self) -> SplitSettings:
        if self.proxies_at and self.directory:
            raise ValueError("proxies_at and directory both say where the proxies are; give one of them")
        if self.workers_at and self.workers_directory:
            raise ValueError("workers_at and workers_directory both say where the workers are; give one of them")
        return self


def host_and_port(text: str) -> tuple[str, int]:
    """`HOST:PORT` in two; an IPv6 address is in brackets.

    Raises:
        ValueError: it is something else.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not a HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
