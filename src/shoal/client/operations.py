"""What a client asks and what comes back, independent of sockets: the nouns between protocols and connections.

A dialect (`rest`, `grpc`) turns each method of the client into an `Operation`: the `Outgoing` request and the function
that makes a value, or a `ShoalError`, of the `Reply`. A link carries them; the client decides on retries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from shoal.core.errors import ModelError
from shoal.core.types import InferenceRequest, InferenceResponse, ModelMetadata

T = TypeVar("T")
Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTP/2 request.

    Attributes:
        method: such as ``b"POST"``.
        path: path and query.
        headers: without pseudo-headers; names in lower case.
        body: all of it.
    """

    method: bytes
    path: bytes
    headers: Headers = ()
    body: bytes = b""


@dataclass(slots=True)
class Reply:
    """One complete answer.

    Attributes:
        status: of HTTP.
        headers: names in lower case; trailers (gRPC's status) are among them.
        body: all of it.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A request and the meaning of its answer.

    Attributes:
        outgoing: what is sent.
        decode: makes the value; raises `ShoalError` if the reply tells of an error or cannot be understood.
        pure: whether it may run twice.
    """

    outgoing: Outgoing
    decode: Callable[[Reply], T]
    pure: bool = True


class PartialFailure(ModelError):
    """Some of the items of one `predict_all` failed, the others were answered.

    Attributes:
        outputs: the answers, in order; None where an item failed.
        errors: index of a failed item -> what went wrong with it.
    """

    def __init__(self, outputs: list[str | None], errors: dict[int, str]) -> None:
        first, reason = min(errors.items())
        super().__init__(
            f"{len(errors)} of {len(outputs)} items failed; item {first}: {reason}",
            hint="the others' answers are in the error's `outputs`",
        )
        self.outputs = outputs
        self.errors = errors


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a server says about itself."""

    name: str
    version: str = ""
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One line of the repository's index; `state` is one of V2's words (``READY``, ``LOADING``, ...)."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


Statistics = list[dict[str, Any]]
"""V2 statistics, one record for each model version; counts and nanoseconds are integers."""


class Dialect(Protocol):
    """A protocol spoken to a server. `version` is "" where the server may choose."""

    def headers(self, timeout: float) -> Headers:
        """Headers of an attempt that has `timeout` seconds left."""
        ...

    def check(self, reply: Reply) -> None:
        """Raise what the reply tells of, if it tells of an error; nothing else of it is looked at."""
        ...

    def live(self) -> Operation[bool]: ...

    def ready(self, model: str, version: str) -> Operation[bool]:
        """Of the server if `model` is ""."""
        ...

    def server_metadata(self) -> Operation[ServerMetadata]: ...

    def metadata(self, model: str, version: str) -> Operation[ModelMetadata]: ...

    def index(self) -> Operation[list[ModelEntry]]: ...

    def load(self, model: str, config: str | None) -> Operation[None]: ...

    def unload(self, model: str) -> Operation[None]: ...

    def statistics(self, model: str, version: str) -> Operation[Statistics]:
        """Of all models if `model` is ""."""
        ...

    def infer(
        self, request: InferenceRequest, *, timeout: float, binary: bool, pure: bool
    ) -> Operation[InferenceResponse]: ...

    def predict_all(
        self, model: str, version: str, inputs: list[str], *, timeout: float, pure: bool
    ) -> Operation[list[str]]: ...
