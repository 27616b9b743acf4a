"""A request of an HTTP/1.1 connection, its answer in bytes, and both without or with a content coding.

What is small is (de)compressed on the loop, what is large in its executor; either way the continuation is called on
the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from shoal.core.errors import ShoalError, Unsupported
from shoal.core.wire.http1.head import Head
from shoal.core.wire.http1.parser import Body
from shoal.core.wire.http1.response import has_body, response_head
from shoal.serving.gateway.exchange import JSON, Exchange, Headers
from shoal.serving.gateway.problems import UnsupportedMediaType, answer_error, unexpected
from shoal.serving.gateway.sockets.compression import (
    MIN_COMPRESS_BYTES,
    ON_LOOP_BYTES,
    accepts_gzip,
    compress,
    decompress,
    decompress_small,
)

Buffer = bytes | bytearray | memoryview

GZIPPED: Headers = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))

JOIN_BYTES = 64 * 1024  # up to here copying a body behind its head is cheaper than a second buffer


class Answering(Protocol):
    """The connection, as its exchanges see it."""

    def peer(self) -> str: ...

    def certificate(self) -> str: ...

    def answer(
        self, exchange: Http1Exchange, status: int, body: Buffer, content_type: bytes, headers: Headers
    ) -> None: ...


class Http1Exchange(Exchange):
    """One request and the place of its answer in the order of answers.

    Attributes:
        head: what the parser made of the head.
        answered: the application has answered.
        ready: the encoded answer, or None; `rest` is its body where it was not worth joining.
    """

    __slots__ = ("_connection", "answered", "head", "ready", "rest")

    def __init__(self, connection: Answering, head: Head, body: Body, arrived: float) -> None:
        self._connection = connection
        self.head = head
        self.method = head.method
        self.target = head.target
        self.headers = head.headers
        self.body = body
        self.arrived = arrived
        self.on_gone = None
        self.answered = False
        self.ready: bytes | None = None
        self.rest: Buffer = b""

    def peer(self) -> str:
        return self._connection.peer()

    def certificate(self) -> str:
        return self._connection.certificate()

    def respond(self, status: int, body: Buffer = b"", content_type: bytes = JSON, headers: Headers = ()) -> None:
        self._connection.answer(self, status, body, content_type, headers)

    def encode(
        self, status: int, body: Buffer, content_type: bytes, headers: Headers, *, close: bool, second: int
    ) -> None:
        """Make `ready` and `rest`."""
        head = self.head
        ready = response_head(
            status,
            len(body),
            content_type=content_type,
            second=second,
            headers=headers,
            close=close,
            old=head.old,
        )
        if not has_body(status, head.method):
            body = b""
        if len(body) <= JOIN_BYTES:
            ready += body
        else:
            self.rest = body
        self.ready = ready

    def wants_gzip(self, body: Buffer, content_type: bytes, headers: Headers) -> bool:
        """Whether this answer is to be compressed: it pays, the client accepts it, and it is not compressed yet."""
        return (
            len(body) >= MIN_COMPRESS_BYTES
            and self.method != b"HEAD"
            and content_type.startswith((b"application/json", b"text/"))
            and accepts_gzip(self.headers)
            and all(name != b"content-encoding" for name, _ in headers)
        )


def inflate(exchange: Http1Exchange, limit: int, then: Callable[[Http1Exchange], None]) -> None:
    """Undo the content coding of the request's body, then go on; what cannot be undone is answered here."""
    encoding = exchange.head.encoding
    try:
        body = decompress_small(exchange.body, encoding, limit)
    except ShoalError as error:
        _answer(exchange, error)
        return
    if body is not None:
        exchange.body = body
        then(exchange)
        return

    def inflated(future: asyncio.Future[bytes]) -> None:
        if future.cancelled():
            return
        try:
            exchange.body = future.result()
        except Exception as error:  # noqa: BLE001 - whatever it is becomes an answer
            _answer(exchange, error)
        else:
            then(exchange)

    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, decompress, exchange.body, encoding, limit).add_done_callback(inflated)


def gzip(body: Buffer, then: Callable[[bytes], None]) -> None:
    """Compress an answer, then go on."""
    if len(body) <= ON_LOOP_BYTES:
        then(compress(body))
        return

    def compressed(future: asyncio.Future[bytes]) -> None:
        if not future.cancelled():
            then(future.result())

    asyncio.get_running_loop().run_in_executor(None, compress, body).add_done_callback(compressed)


def _answer(exchange: Http1Exchange, error: Exception) -> None:
    if isinstance(error, Unsupported):
        error = UnsupportedMediaType(error.message, hint=error.hint, field=error.field)
    answer_error(exchange, error if isinstance(error, ShoalError) else unexpected(error))
