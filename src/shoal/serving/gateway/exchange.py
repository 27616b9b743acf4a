"""What a protocol hands to the application: an HTTP exchange, or a gRPC call.

The sockets' side (`http1`, `http2`) makes these objects and implements how they answer; the application's side
(`routes`, `inference`, `grpc_services`) reads them and answers exactly once. Neither knows the other's inside. No
coroutine and no future is needed for a request: an answer is a method call, whenever it is ready. A later answer than
the first, or one to a client that has gone, is ignored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal.core.limits import WireLimits as WireLimits

Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"


class Exchange(ABC):
    """One HTTP request whose body is complete, and the way to answer it.

    Attributes:
        method: such as ``b"POST"``.
        target: path and query as sent (`b"/v2/models/iris/infer?x=1"`), never decoded.
        headers: names in lower case; of repeated headers the last (repeated framing headers were refused before).
            Requests with equal heads share it: it is not to be changed.
        body: after transfer decoding and decompression.
        arrived: monotonic seconds when the first byte of the request was read.
        on_gone: called once if the client leaves before the answer.
    """

    __slots__ = ("arrived", "body", "headers", "method", "on_gone", "target")

    method: bytes
    target: bytes
    headers: Mapping[bytes, bytes]
    body: bytes | bytearray | memoryview
    arrived: float
    on_gone: Callable[[], None] | None

    def peer(self) -> str:
        """The address of whoever is connected; "" if there is none."""
        return ""

    def certificate(self) -> str:
        """The name in the certificate that whoever is connected has shown; "" for none."""
        return ""

    @abstractmethod
    def respond(
        self,
        status: int,
        body: bytes | bytearray | memoryview = b"",
        content_type: bytes = JSON,
        headers: Headers = (),
    ) -> None:
        """Answer. Content-Length, Connection and (if negotiated) Content-Encoding are added by the protocol."""


class HttpApp(Protocol):
    """The application for HTTP requests."""

    def __call__(self, exchange: Exchange) -> None:
        """Answer now or later. An exception is a bug; the protocol answers 500 and logs it."""


class Rpc(ABC):
    """One gRPC call.

    Attributes:
        path: such as ``b"/inference.GRPCInferenceService/ModelInfer"``.
        metadata: request metadata, names in lower case; ``-bin`` values still in base64. Shared, not to be changed.
        arrived: monotonic seconds when its headers were read.
        deadline: monotonic seconds from `grpc-timeout`, or None.
        on_gone: called once if the client cancels or leaves before the end.
    """

    __slots__ = ("arrived", "deadline", "metadata", "on_gone", "path")

    method = b"POST"
    path: bytes
    metadata: Mapping[bytes, bytes]
    arrived: float
    deadline: float | None
    on_gone: Callable[[], None] | None

    def peer(self) -> str:
        """The address of whoever is connected; "" if there is none."""
        return ""

    def certificate(self) -> str:
        """The name in the certificate that whoever is connected has shown; "" for none."""
        return ""

    @abstractmethod
    def finish(self, message: bytes) -> None:
        """Answer a unary call: headers, one message, status OK, in one write."""

    @abstractmethod
    def send(self, message: bytes) -> None:
        """Send one message of a streaming answer."""

    @abstractmethod
    def end(self) -> None:
        """End a streaming answer with status OK."""

    @abstractmethod
    def fail(self, status: int, message: str, metadata: Headers = (), details: bytes = b"") -> None:
        """End with a status (`grpc.StatusCode` number), a text and, if given, an encoded `google.rpc.Status`."""


class RpcStream(Protocol):
    """The application's end of a streaming call."""

    def on_message(self, message: bytes) -> None: ...

    def on_end(self) -> None:
        """The client has sent its last message."""


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one message in and one out."""

    handle: Callable[[Rpc, bytes], None]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method with any number of messages either way; `open` is called when the call's headers are there."""

    open: Callable[[Rpc], RpcStream]


Method = Unary | Streaming

RpcMethods = dict[bytes, Method]
"""Path -> method; a path that is not there is answered with UNIMPLEMENTED by the protocol."""
