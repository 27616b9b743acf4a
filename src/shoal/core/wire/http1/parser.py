"""HTTP/1.1 requests out of bytes, with no socket in sight.

`RequestParser` takes bytes in any pieces and gives back whole requests, one by one, or raises `Refusal`, after which
the connection must be closed: nothing that follows a refused request is ever looked at, so no second request can hide
in it. Every limit is enforced before the memory for it is taken.

A head is parsed when all of it is there (`http1_head`); equal heads, which is what clients with persistent connections
send, are parsed once. Bodies of known length are cut out of what was read, chunked ones go through `http1_chunked`.
"""

from __future__ import annotations

import re

from shoal.core.limits import WireLimits
from shoal.core.wire.http1.body import BodyBuffer, ChunkedBody
from shoal.core.wire.http1.head import Head, Refusal, parse_head, parse_head_memoised

Body = bytes | bytearray

_END = b"\r\n\r\n"
_MAX_MEMOISED_HEAD = 2048
_START = re.compile(rb"(?:\r\n)?(?:\r?\Z|[A-Z][A-Z-]{0,31}(?: |\Z))")
_NEVER_IN_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n|\Z)|(?<!\r)\n")


class RequestParser:
    """Parses the requests of one connection.

    Attributes:
        partial: part of a request is there, but not all of it.
        in_body: the head of that request is complete.
        expects_continue: the client waits for ``100 Continue`` before it sends the body; reset it once it is sent.
    """

    __slots__ = (
        "_body",
        "_data",
        "_head",
        "_limits",
        "_max_body",
        "_max_count",
        "_max_head",
        "_max_target",
        "_position",
        "_seen",
        "expects_continue",
    )

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._max_body = limits.body_bytes
        self._max_head = limits.header_bytes
        self._max_count = limits.header_count
        self._max_target = limits.target_bytes
        self._data = b""
        self._position = 0  # of the first byte that is not used up
        self._seen = 0  # up to where an incomplete head was searched
        self._head: Head | None = None  # of a request whose body is not complete
        self._body: _SizedBody | ChunkedBody | None = None
        self.expects_continue = False

    @property
    def partial(self) -> bool:
        return self._body is not None or self._position < len(self._data)

    @property
    def in_body(self) -> bool:
        return self._body is not None

    def receive(self, data: bytes) -> None:
        """Take what was read; `next_request` then tells what it completes."""
        self._data = self._data[self._position :] + data if self._data else data
        self._seen -= self._position
        self._position = 0

    def next_request(self) -> tuple[Head, Body] | None:
        """The next whole request, or None if more must be read first.

        Raises:
            Refusal: the request is wrong or too large; the parser must not be used any more.
        """
        if self._body is not None:
            return self._continue_body()
        data, start = self._data, self._position
        if not data:
            return None
        end = data.find(_END, start if self._seen <= start else self._seen)
        if end <= start:
            self._no_head(end)
            return None
        self._seen = 0
        end += 4
        head = self._head_of(data[start:end])
        stop = end + head.content_length
        if stop > len(data) or head.chunked:
            return self._begin_body(head, end)
        if stop == len(data):
            self._data = b""
            self._position = 0
        else:
            self._position = stop
        return head, data[end:stop]

    def _head_of(self, raw: bytes) -> Head:
        if len(raw) > self._max_head:
            raise self._head_too_large(0, raw)
        head = parse_head_memoised(raw) if len(raw) <= _MAX_MEMOISED_HEAD else parse_head(raw)
        if head.count > self._max_count or len(head.target) > self._max_target or head.content_length > self._max_body:
            raise self._too_much(head)
        return head

    def _no_head(self, end: int) -> None:
        """Refuse at once what can never become a head; otherwise wait for more."""
        data, start = self._data, self._position
        if end == start:
            raise Refusal(400, "invalid_input", "A request line is missing.")
        if len(data) - start > self._max_head:
            raise self._head_too_large(start, data)
        first = data.find(b"\r\n", start + 2)
        if (first if first >= 0 else len(data)) - start > self._max_target + 64:
            raise _target_too_long(self._max_target)
        if _START.match(data, start) is None or _NEVER_IN_HEAD.search(data, max(start, self._seen - 2)):
            raise Refusal(400, "invalid_input", "This is not an HTTP/1.1 request.")
        self._seen = max(start, len(data) - 3)

    def _begin_body(self, head: Head, end: int) -> tuple[Head, Body] | None:
        self._position = end
        self._head = head
        self._body = ChunkedBody(self._limits) if head.chunked else _SizedBody(head.content_length)
        self.expects_continue = head.expects_continue and end == len(self._data)
        return self._continue_body()

    def _continue_body(self) -> tuple[Head, Body] | None:
        head, body = self._head, self._body
        assert head is not None
        assert body is not None
        self._position = body.take(self._data, self._position)
        if self._position == len(self._data):
            self._data = b""
            self._position = 0
        if not body.complete:
            return None
        self._head = self._body = None
        self.expects_continue = False
        return head, body.content()

    def _head_too_large(self, start: int, data: bytes) -> Refusal:
        line = data.find(b"\r\n", start + 2)
        if line < 0 or line - start > self._max_target + 64:
            return _target_too_long(self._max_target)
        return _headers_too_large(f"{self._max_head} bytes")

    def _too_much(self, head: Head) -> Refusal:
        if len(head.target) > self._max_target:
            return _target_too_long(self._max_target)
        if head.count > self._max_count:
            return _headers_too_large(f"{self._max_count} lines")
        return Refusal(413, "too_large", f"The body is larger than {self._max_body} bytes.")


class _SizedBody:
    """A body whose length was announced."""

    __slots__ = ("_buffer", "_left")

    def __init__(self, length: int) -> None:
        self._left = length
        self._buffer = BodyBuffer()

    @property
    def complete(self) -> bool:
        return self._left == 0

    def take(self, data: bytes, position: int) -> int:
        """Take the bytes from `position` on that belong to the body; returns the position after them."""
        stop = min(len(data), position + self._left)
        self._left -= stop - position
        self._buffer.append(data if stop - position == len(data) else data[position:stop])
        return stop

    def content(self) -> Body:
        return self._buffer.content()


def _target_too_long(limit: int) -> Refusal:
    return Refusal(414, "too_large", f"The request target is longer than {limit} bytes.")


def _headers_too_large(limit: str) -> Refusal:
    return Refusal(431, "too_large", f"The headers have more than {limit}.")
