"""What header fields mean: heads of requests and responses, and trailers, checked against RFC 9113 section 8.

Names are tokens in lower case, values hold no NUL, CR or LF and no outer white space, pseudo-fields come first, once
each and all that are needed, and the fields that belong to HTTP/1.1 connections are refused. What fails is *malformed*
and costs its stream only. A head is immutable in spirit: all repeats of a block share one object.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from shoal.core.wire.http2.blocks import Fields
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import StreamFault

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_VALUE = re.compile(rb"(?![ \t])[^\x00\r\n]*(?<![ \t])").fullmatch
_TARGET = re.compile(rb"(/[^\x00-\x20\x7f]*|\*)").fullmatch
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch

_CONNECTION_FIELDS = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_REQUEST_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})
_RESPONSE_PSEUDO = frozenset({b":status"})


class RequestHead:
    """The head of a request.

    Attributes:
        method, path: as sent.
        headers: names in lower case, `host` being the authority; of repeated fields the last, cookies joined.
        content_length: or -1.
        oversize: whether the fields exceed the limits; whoever answers shall refuse.
        note: free for the shell, to keep what it found out about this head.
    """

    __slots__ = ("content_length", "headers", "method", "note", "oversize", "path")

    def __init__(self, method: bytes, path: bytes, headers: dict[bytes, bytes], oversize: bool) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.content_length = _content_length(headers)
        self.oversize = oversize
        self.note: object = None


class ResponseHead:
    """The head of a response: its status and headers; `content_length` is -1 where there is none."""

    __slots__ = ("content_length", "headers", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.content_length = _content_length(headers)


def _malformed(reason: str) -> StreamFault:
    return StreamFault(ErrorCode.PROTOCOL_ERROR, reason)


def _content_length(headers: dict[bytes, bytes]) -> int:
    text = headers.get(b"content-length")
    if text is None:
        return -1
    if not _LENGTH(text):
        raise _malformed("content-length is no number")
    return int(text)


def request_reader(max_bytes: int, max_count: int) -> Callable[[Fields], RequestHead]:
    """A function that turns fields into a `RequestHead`, marking those beyond the limits.

    Args:
        max_bytes: sum of name + value + 32 over all fields.
        max_count: number of fields.
    """

    def read(fields: Fields) -> RequestHead:
        pseudo, headers = _split(fields, _REQUEST_PSEUDO)
        method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
        if not _METHOD(method) or method == b"CONNECT" or not pseudo.get(b":scheme") or not _TARGET(path):
            raise _malformed("a request without method, scheme or path")
        if headers.get(b"te", b"trailers") != b"trailers":
            raise _malformed("te may only be trailers")
        authority = pseudo.get(b":authority")
        if authority:
            headers[b"host"] = authority
        size = sum([len(name) + len(value) + 32 for name, value in fields])
        return RequestHead(method, path, headers, oversize=size > max_bytes or len(fields) > max_count)

    return read


def read_response(fields: Fields) -> ResponseHead:
    """Fields as the head of a response."""
    pseudo, headers = _split(fields, _RESPONSE_PSEUDO)
    status = pseudo.get(b":status", b"")
    if len(status) != 3 or not status.isdigit() or status < b"100":
        raise _malformed("a response without status")
    return ResponseHead(int(status), headers)


def read_trailers(fields: Fields) -> dict[bytes, bytes]:
    """Fields after a body; they hold no pseudo-fields."""
    return _split(fields, frozenset())[1]


def _split(fields: Fields, allowed: frozenset[bytes]) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Pseudo-fields and ordinary ones, all checked."""
    pseudo: dict[bytes, bytes] = {}
    headers: dict[bytes, bytes] = {}
    for name, value in fields:
        if not _VALUE(value):
            raise _malformed("a header value with forbidden characters")
        if name[:1] == b":":
            if headers or name in pseudo or name not in allowed:
                raise _malformed("a pseudo-header that is unknown, repeated or late")
            pseudo[name] = value
        else:
            _add(headers, name, value)
    return pseudo, headers


def _add(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if not _NAME(name) or name in _CONNECTION_FIELDS:
        raise _malformed("a header name that is not allowed")
    if name in headers:
        if name == b"cookie":
            value = headers[name] + b"; " + value
        elif name == b"content-length" and headers[name] != value:
            raise _malformed("two different content-lengths")
    headers[name] = value
