"""What `shoal predict` and `shoal bench` share: how to reach a server, and where the input comes from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.core.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.payloads import Payload
    from shoal.client import AsyncClient
    from shoal.core.types import Signature

Url = Annotated[str, typer.Option(help="Address of the server.", envvar="SHOAL_URL")]
Ca = Annotated[Path | None, typer.Option(help="Certificates to trust for https (PEM).", envvar="SHOAL_CA")]
Grpc = Annotated[bool, typer.Option("--grpc", help="Speak gRPC instead of REST.")]
Version = Annotated[str | None, typer.Option(help="Version of the model; the server chooses if it is not given.")]
Input = Annotated[
    str | None,
    typer.Option("--input", "-i", help="File: .json, .jsonl, .csv, .tsv, .parquet; - reads JSON from standard input."),
]
Data = Annotated[str | None, typer.Option(help="Rows or a V2 request as JSON text.")]
Text = Annotated[list[str] | None, typer.Option(help="One text; may be given many times.")]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the input comes from: exactly one of three, or none.

    Raises (from `read`):
        ConfigError: more than one is given, or what is there cannot be used.
    """

    input: str | None
    data: str | None
    texts: list[str] | None

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self._count > 0

    @property
    def _count(self) -> int:
        return (self.input is not None) + (self.data is not None) + bool(self.texts)

    def check(self) -> None:
        """Refuse two at once before anything is done."""
        if self._count > 1:
            raise ConfigError("--input, --data and --text exclude each other", hint="give one of them")

    def read(self, signature: Signature) -> Payload:
        """The payload for a model with this signature."""
        from shoal.cli.failures import usage
        from shoal.cli.payloads import from_json, parse
        from shoal.cli.tables import format_of

        if self.texts:
            with usage("--text"):
                return from_json(self.texts, signature)
        if self.data is not None:
            with usage("--data"):
                return parse(self.data.encode(), "json", signature)
        assert self.input is not None
        with usage("standard input" if self.input == "-" else self.input):
            return parse(_content(self.input), format_of(self.input), signature)


def connect(url: str, *, grpc: bool, timeout: float, ca: Path | None, retries: int = 2) -> AsyncClient:
    """A client as the options say, with the key of the environment or of `shoal --key-file`."""
    from shoal.cli.reaching import api_key
    from shoal.client import AsyncClient, Tls

    protocol = "grpc" if grpc else "rest"
    return AsyncClient(
        url, protocol=protocol, timeout=timeout, key=api_key() or None, tls=Tls(ca=ca) if ca else None, retries=retries
    )


def _content(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
