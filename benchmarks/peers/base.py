"""What the harness must know of a server: how it is installed, started and asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from benchmarks.driver import Request
from benchmarks.paths import BODIES, SERVERS

METHOD = "/inference.GRPCInferenceService/ModelInfer"
GRPC_HEADERS = (("content-type", "application/grpc"), ("te", "trailers"))
JSON = (("content-type", "application/json"),)
BYTES = (("content-type", "application/octet-stream"),)


class Wire(StrEnum):
    """How a tensor travels."""

    JSON = "JSON"
    BINARY = "binary REST"
    GRPC = "gRPC"
    GRPC_RAW = "gRPC raw"


@dataclass(frozen=True)
class Setup:
    """What a server is to do: which model, and how its batches form (1: no batching)."""

    model: str = "iris"
    batch: int = 1
    wait_ms: int = 0


@dataclass(frozen=True)
class Site:
    """What a server is given: its interpreter, the models of its environment, a scratch folder, ports."""

    python: Path
    models: Path
    scratch: Path
    http: int
    grpc: int
    metrics: int

    def tool(self, name: str) -> str:
        """A command of the peer's environment."""
        return str(self.python.parent / name)


@dataclass(frozen=True)
class Launch:
    """A command with its additions to the environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class Peer(Protocol):
    """One server in one role.

    Attributes:
        name: as in the table.
        environment: name of its requirements file and virtual environment; "" is the project's own.
        interpreter: which Python its environment is made with.
    """

    @property
    def name(self) -> str: ...

    @property
    def environment(self) -> str: ...

    @property
    def interpreter(self) -> str: ...

    def launch(self, setup: Setup, site: Site) -> Launch:
        """How to start it."""
        ...

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        """What to send it, or None when it does not offer the wire."""
        ...


def body(model: str, encoding: str) -> Path:
    """The file with the body."""
    return BODIES / f"{model}.{encoding}"


def script(site: Site, name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs one of our server scripts."""
    return (str(site.python), str(SERVERS / name), *arguments)


def v2_infer(setup: Setup, port: int) -> Request:
    """The V2 REST request with JSON data."""
    url = f"http://127.0.0.1:{port}/v2/models/{setup.model}/infer"
    return Request(url, body(setup.model, "v2.json"), JSON)


def v2_binary(setup: Setup, port: int) -> Request:
    """The V2 REST request with binary data; the header's length is where its JSON ends."""
    file = body(setup.model, "v2.bin")
    with file.open("rb") as stream:
        length = header_length(stream.read(4096))
    headers = (*BYTES, ("inference-header-content-length", str(length)))
    return Request(f"http://127.0.0.1:{port}/v2/models/{setup.model}/infer", file, headers)


def header_length(start: bytes) -> int:
    """Length of the JSON object that the bytes begin with."""
    depth = 0
    for index, byte in enumerate(start):
        depth += {0x7B: 1, 0x7D: -1}.get(byte, 0)
        if depth == 0:
            return index + 1
    raise ValueError("no JSON object at the start")


def v2_grpc(setup: Setup, port: int, *, raw: bool) -> Request:
    """The gRPC request."""
    file = body(setup.model, "grpcraw" if raw else "grpc")
    return Request(f"http://127.0.0.1:{port}{METHOD}", file, GRPC_HEADERS, grpc=True)


def v2_request(setup: Setup, wire: Wire, site: Site) -> Request:
    """Any of the V2 requests, for servers with a port for each protocol."""
    if wire is Wire.JSON:
        return v2_infer(setup, site.http)
    if wire is Wire.BINARY:
        return v2_binary(setup, site.http)
    return v2_grpc(setup, site.grpc, raw=wire is Wire.GRPC_RAW)
