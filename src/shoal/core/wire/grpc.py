"""gRPC over HTTP/2 as bytes: message frames, timeouts, status, and the header values that carry them.

    u8 compressed | u32 length | message                      (big-endian; any number per stream)

Only `identity` and `gzip` are spoken. Whatever is wrong with what came is an `RpcFault` with the status that gRPC's own
servers give: the caller answers with it.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from enum import IntEnum
from urllib.parse import quote_from_bytes, unquote_to_bytes

PREFIX = struct.Struct(">BI")
PREFIX_SIZE = PREFIX.size

IDENTITY = b"identity"
GZIP = b"gzip"
ENCODINGS = b"identity,gzip"
"""The value of `grpc-accept-encoding`."""

COMPRESS_FROM = 1024
"""Shorter messages are not worth compressing."""

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])").fullmatch
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_MOST_DIGITS = 99_999_999


class Status(IntEnum):
    """The status codes of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcFault(Exception):
    """A call that cannot go on, and the status to end it with."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def is_grpc(content_type: bytes) -> bool:
    """Whether a content-type is one of gRPC proper (gRPC-Web is another protocol)."""
    return content_type[:16] == b"application/grpc" and content_type[16:17] in (b"", b"+", b";", b" ")


def parse_timeout(value: bytes) -> float:
    """Seconds of a `grpc-timeout` value.

    Raises:
        RpcFault: INVALID_ARGUMENT.
    """
    match = _TIMEOUT(value)
    if match is None:
        raise RpcFault(Status.INVALID_ARGUMENT, "grpc-timeout is not 1 to 8 digits and a unit of H, M, S, m, u, n")
    return int(match[1]) * _UNITS[match[2]]


def format_timeout(seconds: float) -> bytes:
    """A `grpc-timeout` value for the time left, in the finest unit that holds it; never more than was given."""
    seconds = max(seconds, 0.0)
    for unit in (b"n", b"u", b"m", b"S", b"M"):
        if (count := int(seconds / _UNITS[unit])) <= _MOST_DIGITS:
            return b"%d%b" % (count, unit)
    return b"%dH" % min(_MOST_DIGITS, int(seconds / 3600.0))


def encode_text(text: str) -> bytes:
    """A `grpc-message` value: printable ASCII, all else (and the per cent sign) percent-encoded as UTF-8."""
    data = text.encode("utf-8", "replace")
    if data.isascii() and text.isprintable() and b"%" not in data and data == data.strip(b" "):
        return data
    return quote_from_bytes(data, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}").strip(" ").encode()


def decode_text(value: bytes) -> str:
    """The text of a `grpc-message` value; what is no UTF-8 is replaced, never an error."""
    return unquote_to_bytes(value).decode("utf-8", "replace")


def encode_binary(value: bytes) -> bytes:
    """A value of a `-bin` header: base64 without padding."""
    return base64.b64encode(value).rstrip(b"=")


def decode_binary(value: bytes) -> bytes:
    """The bytes of a `-bin` header, padded or not.

    Raises:
        RpcFault: INVALID_ARGUMENT.
    """
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        raise RpcFault(Status.INVALID_ARGUMENT, "a binary header is not base64") from None


def prefix(length: int, compressed: bool = False) -> bytes:
    """The five bytes before a message."""
    return PREFIX.pack(compressed, length)


def deflate(message: bytes) -> bytes:
    """A message as `gzip`, at the speed that suits a serving path."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(message) + packer.flush()


def inflate(data: bytes, limit: int) -> bytes:
    """The message inside `gzip` data; never makes more than `limit` + 1 bytes of it.

    Raises:
        RpcFault: RESOURCE_EXHAUSTED beyond the limit, INTERNAL if it is not gzip.
    """
    opener = zlib.decompressobj(31)
    try:
        message = opener.decompress(data, limit + 1)
    except zlib.error:
        raise RpcFault(Status.INTERNAL, "a compressed message is not gzip") from None
    if len(message) > limit:
        raise too_large(limit)
    if not opener.eof or opener.unused_data:
        raise RpcFault(Status.INTERNAL, "a compressed message is cut short or goes on behind its end")
    return message


def too_large(limit: int) -> RpcFault:
    """The fault of a message above the limit."""
    return RpcFault(Status.RESOURCE_EXHAUSTED, f"the message is larger than the limit of {limit} bytes")


class MessageReader:
    """Cuts the body of one call into messages.

    Args:
        encoding: the value of `grpc-encoding`, or empty.
        limit: bytes of the largest message, after inflating.
        parts: DATA frames that one message may come in.
    """

    __slots__ = ("_encoding", "_flag", "_have", "_head", "_length", "_limit", "_parts", "_pieces")

    def __init__(self, encoding: bytes, limit: int, parts: int) -> None:
        if encoding not in (b"", IDENTITY, GZIP):
            raise RpcFault(Status.UNIMPLEMENTED, "grpc-encoding is neither identity nor gzip")
        self._encoding = encoding
        self._limit = limit
        self._parts = parts
        self._head = b""
        self._flag = 0
        self._length = -1
        self._pieces: list[bytes] = []
        self._have = 0

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._head) or self._length >= 0

    def feed(self, data: bytes) -> list[tuple[bool, bytes]]:
        """Take a part of the body; returns the messages that are complete with it, each with whether it is `gzip`.

        Raises:
            RpcFault: a message that is too large, malformed, or wrongly compressed.
        """
        if self._head:
            data, self._head = self._head + data, b""
        messages: list[tuple[bool, bytes]] = []
        at, end = 0, len(data)
        while True:
            if self._length < 0:
                if end - at < PREFIX_SIZE:
                    self._head = data[at:]
                    return messages
                self._begin(*PREFIX.unpack_from(data, at))
                at += PREFIX_SIZE
            missing = self._length - self._have
            if end - at < missing:
                self._keep(data[at:])
                return messages
            messages.append(self._complete(data[at : at + missing]))
            at += missing

    def _begin(self, flag: int, length: int) -> None:
        if flag > 1:
            raise RpcFault(Status.INTERNAL, "a message frame with an unknown flag")
        if flag and self._encoding != GZIP:
            raise RpcFault(Status.INTERNAL, "a compressed message without grpc-encoding")
        if length > self._limit:
            raise too_large(self._limit)
        self._flag = flag
        self._length = length

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._have += len(piece)
        if len(self._pieces) > self._parts:
            raise RpcFault(Status.RESOURCE_EXHAUSTED, "a message in too many parts")

    def _complete(self, piece: bytes) -> tuple[bool, bytes]:
        if self._pieces:
            self._pieces.append(piece)
            piece = b"".join(self._pieces)
            self._pieces = []
        self._have = 0
        self._length = -1
        return bool(self._flag), piece

    def finish(self) -> None:
        """The body has ended.

        Raises:
            RpcFault: in the middle of a message.
        """
        if self.partial:
            raise RpcFault(Status.INTERNAL, "the body ends in the middle of a message")
