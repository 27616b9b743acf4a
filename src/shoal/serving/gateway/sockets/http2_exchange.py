"""REST over HTTP/2: a stream that collects its body, is an `Exchange` for the application, and answers once.

What can be refused from the head alone (431, 414, 413) is refused before the body is read; a body beyond the limit is
refused as soon as it crosses it. Large bodies are (de)compressed in an executor.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import msgspec

from shoal.core.errors import InvalidInput, ShoalError, TooLarge, Unsupported
from shoal.core.wire.http1.response import date_line, has_body
from shoal.core.wire.http2 import STREAM_SLOTS, RequestHead, Stream, encode_block, encode_field
from shoal.serving.gateway.exchange import JSON, Exchange, Headers
from shoal.serving.gateway.sockets.compression import (
    MIN_COMPRESS_BYTES,
    ON_LOOP_BYTES,
    accepts_gzip,
    compress,
    decompress,
    decompress_small,
)

if TYPE_CHECKING:
    from shoal.serving.gateway.sockets.http2 import Http2Connection

Buffer = bytes | bytearray | memoryview

_CONTINUE = encode_block([(b":status", b"100")])
_GZIPPED = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
_CONTROLS = bytes(32 if code < 32 or code == 127 else code for code in range(256))


class Http2Exchange(Exchange, Stream):
    """One request over HTTP/2; see `Exchange` and `Stream` for the meaning of its methods."""

    __slots__ = ("_answered", "_chunks", "_head", "_shell", "_size", *STREAM_SLOTS)

    def __init__(self, shell: Http2Connection, stream_id: int, head: RequestHead) -> None:
        self._begin(shell.wire, stream_id, head.content_length)
        self._shell = shell
        self._head = head
        self._chunks: list[bytes] = []
        self._size = 0
        self._answered = False
        self.method = head.method
        self.target = head.path
        self.headers = head.headers.copy()
        self.body = b""
        self.arrived = self.progress
        self.on_gone = None

    # The stream's side

    def on_open(self) -> None:
        limits, head = self._shell.limits, self._head
        if head.oversize:
            self._refuse(431, "too_large", "The headers are larger than allowed.")
        elif len(head.path) > limits.target_bytes:
            self._refuse(414, "too_large", "The request target is longer than allowed.")
        elif head.content_length > limits.body_bytes:
            self._refuse_body()
        elif b"expect" in head.headers and head.headers[b"expect"].lower() == b"100-continue":
            self.send_headers(_CONTINUE)

    def on_data(self, data: bytes, end: bool) -> None:
        if self._answered:
            return
        if data:
            self._chunks.append(data)
            self._size += len(data)
        if self._size > self._shell.limits.body_bytes:
            self._refuse_body()
        elif len(self._chunks) > self._shell.limits.chunk_count:
            self._refuse(400, "invalid_input", "The body comes in too many pieces.")
        elif end:
            self._complete()

    def on_reset(self, code: int) -> None:
        self._answered = True
        self._chunks = []
        self._shell.gone(self)

    def on_overflow(self) -> None:
        self._refuse(503, "overloaded", "This connection has too many unfinished requests.")

    def on_closed_early(self) -> None:
        """Not all clients read an answer that a reset follows at once, so `sweep` sends it."""
        self.progress = self.connection.now
        self.release()

    def on_stalled(self) -> None:
        """The body made no progress for too long."""
        self._refuse(408, "deadline_exceeded", "The body did not arrive in time.")

    def _complete(self) -> None:
        chunks, self._chunks = self._chunks, []
        self.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        encoding = self.headers.get(b"content-encoding")
        if encoding and self.body:
            self._decompress(encoding)
        else:
            self._shell.dispatch(self._call)

    def _call(self) -> None:
        if not self._answered:
            self._shell.call_http(self)

    # The answer

    def peer(self) -> str:
        return self._shell.peer()

    def certificate(self) -> str:
        return self._shell.certificate()

    def respond(self, status: int, body: Buffer = b"", content_type: bytes = JSON, headers: Headers = ()) -> None:
        if self._answered:
            return
        self._answered = True
        self.on_gone = None
        self._chunks = []
        if len(body) >= MIN_COMPRESS_BYTES and self._may_compress(content_type, headers):
            self._compress(status, body, content_type, headers)
        else:
            self._send(status, body, content_type, headers)

    def _send(self, status: int, body: Buffer, content_type: bytes, headers: Headers) -> None:
        if self.local_closed:
            return
        block = _head_block(status, content_type) + _date_field(int(time.time()))
        for name, value in headers:
            block += encode_field(name.lower(), safe_value(value))
        if status not in (204, 304):
            block += encode_field(b"content-length", b"%d" % len(body))
        if body and has_body(status, self.method):
            self.connection.sender.answer(self, block, b"", body, b"")
        else:
            self.send_headers(block, end=True)

    def fail(self, message: str) -> None:
        """Answer 500, after a bug."""
        self._refuse(500, "internal", message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self.respond(status, msgspec.json.encode({"error": message, "code": code}))

    def _refuse_body(self) -> None:
        self._refuse(413, "too_large", f"The body is larger than {self._shell.limits.body_bytes} bytes.")

    # Compression

    def _decompress(self, encoding: bytes) -> None:
        limit = self._shell.limits.body_bytes
        try:
            body = decompress_small(self.body, encoding, limit)
        except ShoalError as error:
            self._refuse(_status(error), error.code, error.message)
            return
        if body is None:
            inflating = self._shell.loop.run_in_executor(None, decompress, self.body, encoding, limit)
            inflating.add_done_callback(self._decompressed)
        else:
            self.body = body
            self._shell.dispatch(self._call)

    def _decompressed(self, inflating: asyncio.Future[bytes]) -> None:
        if inflating.cancelled():
            return
        error = inflating.exception()
        if error is None:
            self.body = inflating.result()
            self._shell.dispatch(self._call)
        elif isinstance(error, ShoalError):
            self._refuse(_status(error), error.code, error.message)
        else:
            self._shell.failed(self, error)

    def _may_compress(self, content_type: bytes, headers: Headers) -> bool:
        if not accepts_gzip(self.headers) or not has_body(200, self.method):
            return False
        textual = content_type.startswith((b"application/json", b"text/"))
        return textual and all(name != b"content-encoding" for name, _ in headers)

    def _compress(self, status: int, body: Buffer, content_type: bytes, headers: Headers) -> None:
        headers = (*headers, *_GZIPPED)
        if len(body) <= ON_LOOP_BYTES:
            self._send(status, compress(body), content_type, headers)
            return
        send = partial(self._send, status, content_type=content_type, headers=headers)
        packing = self._shell.loop.run_in_executor(None, compress, body)
        packing.add_done_callback(lambda packed: packed.cancelled() or send(packed.result()))


def safe_value(value: bytes) -> bytes:
    """A header value without control characters and outer white space, so that clients never find it malformed."""
    return value.translate(_CONTROLS).strip()


def _status(error: ShoalError) -> int:
    for kind, status in ((TooLarge, 413), (InvalidInput, 400), (Unsupported, 415)):
        if isinstance(error, kind):
            return status
    return 500


@lru_cache(maxsize=512)
def _head_block(status: int, content_type: bytes) -> bytes:
    fields = [(b":status", b"%d" % status)]
    if content_type and status not in (204, 304):
        fields.append((b"content-type", safe_value(content_type)))
    if status >= 400:
        fields.append((b"x-content-type-options", b"nosniff"))
    return encode_block(fields)


@lru_cache(maxsize=2)
def _date_field(second: int) -> bytes:
    return encode_field(b"date", date_line(second)[6:-2])
