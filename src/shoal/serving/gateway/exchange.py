"""What a protocol hands to the application: an HTTP exchange, or a gRPC call.

The sockets' side (`http1`, `http2`) makes these objects and implements how they answer; the application's side
(`routes`, `inference`, `grpc_services`) reads them and answers exactly once. Neither knows the other's inside. No
coroutine and no future is needed for a request: an answer is a method call, whenever it is ready. A later answer than
the first, or one to a client that has gone, is ignored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]

JSON = b"application/json"


class Exchange(ABC):
    """One HTTP request whose body is complete, and the way to answer it.

    Attributes:
        method: such as ``b"POST"``.
        target: path and query as sent (`b"/v2/models/iris/infer?x=1"`), never decoded.
        headers: names in lower case; of repeated headers the last (repeated framing headers were refused before).
        body: after transfer decoding and decompression.
        arrived: monotonic seconds when the first byte of the request was read.
        on_gone: called once if the client leaves before the answer.
    """

    __slots__ = ("arrived", "body", "headers", "method", "on_gone", "target")

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes | bytearray | memoryview
    arrived: float
    on_gone: Callable[[], None] | None

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
        metadata: request metadata, names in lower case; ``-bin`` values still in base64.
        arrived: monotonic seconds when its headers were read.
        deadline: monotonic seconds from `grpc-timeout`, or None.
        on_gone: called once if the client cancels or leaves before the end.
    """

    __slots__ = ("arrived", "deadline", "metadata", "on_gone", "path")

    path: bytes
    metadata: dict[bytes, bytes]
    arrived: float
    deadline: float | None
    on_gone: Callable[[], None] | None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """What a client may cost before its request is complete; all are settings of the node.

    Attributes:
        body_bytes: body after decompression, and a gRPC message.
        header_bytes: all headers of a request, request line included; also HPACK-decoded size.
        header_count: number of headers.
        target_bytes: the request line's target (414 above).
        chunk_count: chunks of a chunked body.
        header_seconds: time to receive all headers, absolute.
        body_seconds: time without any progress of a body.
        idle_seconds: keep-alive without a request.
        write_seconds: time without any progress while the client does not read.
        connections: open at once; above it new ones are refused with 503 / GOAWAY.
        streams: concurrent HTTP/2 streams of a connection.
        pipeline: HTTP/1.1 requests of a connection that may wait for their answers.
        write_buffer_bytes: bytes waiting for a slow reader, above which no further request of it is read.
    """

    body_bytes: int = 64 * 1024 * 1024
    header_bytes: int = 64 * 1024
    header_count: int = 256
    target_bytes: int = 8 * 1024
    chunk_count: int = 65_536
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 120.0
    write_seconds: float = 30.0
    connections: int = 10_000
    streams: int = 256
    pipeline: int = 32
    write_buffer_bytes: int = 4 * 1024 * 1024
