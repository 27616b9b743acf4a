"""HTTP/1.1 responses into bytes.

One answer is one concatenation: status line and content type are encoded once and kept. Header values are made safe
whatever they hold, so nothing that came from a client can split a response.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BODILESS = frozenset((204, 304))
_CONTROLS = bytes(32 if code < 32 or code == 127 else code for code in range(256))


def response_head(
    status: int,
    length: int,
    *,
    content_type: bytes,
    second: int,
    headers: Sequence[tuple[bytes, bytes]] = (),
    close: bool = False,
    old: bool = False,
) -> bytes:
    """Everything up to and with the empty line.

    Args:
        status: of the response.
        length: bytes of the body (of HEAD: what GET would have).
        content_type: left out if empty.
        second: the wall clock, for the Date header.
        headers: further ones; names in lower case.
        close: the connection ends with this response.
        old: it goes to an HTTP/1.0 client, which must be told that the connection stays open.
    """
    more = _CLOSE if close else _KEEP_ALIVE if old else b""
    if headers:
        more += b"".join([b"%b: %b\r\n" % (name.translate(_CONTROLS), _safe(value)) for name, value in headers])
    if status in _BODILESS:
        return b"%b%b%b\r\n" % (_prefix(status, b""), date_line(second), more)
    return b"%b%b%bcontent-length: %d\r\n\r\n" % (_prefix(status, content_type), date_line(second), more, length)


@lru_cache(maxsize=64)
def plain_start(content_type: bytes, second: int) -> bytes:
    """The head of a plain answer with status 200, up to the length: what `response_head` makes for most requests."""
    return b"%b%bcontent-length: " % (_prefix(200, content_type), date_line(second))


def has_body(status: int, method: bytes) -> bool:
    """Whether the answer to this method carries a body."""
    return method != b"HEAD" and status not in _BODILESS


@lru_cache(maxsize=512)
def _prefix(status: int, content_type: bytes) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase.encode()
    except ValueError:
        phrase = b""
    typed = b"content-type: %b\r\n" % _safe(content_type) if content_type else b""
    return b"HTTP/1.1 %d %b\r\n%b" % (status, phrase, typed)


@lru_cache(maxsize=2)
def date_line(second: int) -> bytes:
    """The Date header for a second of the wall clock."""
    year, month, day, hour, minute, of_minute, weekday, *_ = time.gmtime(second)
    date = f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} {hour:02d}:{minute:02d}:{of_minute:02d} GMT"
    return b"date: %b\r\n" % date.encode()


def _safe(value: bytes) -> bytes:
    return value.translate(_CONTROLS).strip()
