"""Frames: a small typed header in MessagePack, then raw bytes that nobody looks into.

    u32 header length | u32 payload length | header | payload        (little-endian)

There is no checksum: both ends are on one Unix socket, or on TLS, which has its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

PREFIX = struct.Struct("<II")
MAX_HEADER = 64 * 1024 * 1024
"""A header that claims more is a broken peer."""
MAX_PAYLOAD = 2**32 - 1
AT_ONCE = 16 * 1024 * 1024
"""Bytes of a payload that are set aside before any of it has come; beyond them, as much again as has come."""


class BrokenFrame(Exception):
    """The peer does not speak our frames; the connection is of no use any more."""


def prefix(header: bytes, payload_length: int) -> bytes:
    """The start of a frame, header included, to be followed by `payload_length` raw bytes."""
    return PREFIX.pack(len(header), payload_length) + header


class FrameReader:
    """Cuts a stream of bytes into frames.

    Large payloads are collected in a buffer of their own size, so that each byte is copied once; giants, whose buffer
    grows as they come, about twice. A peer that only announces gigabytes gets no memory for them.

    Args:
        max_header, max_payload: bytes; who announces more is broken.
    """

    def __init__(self, *, max_header: int = MAX_HEADER, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_header = max_header
        self._max_payload = max_payload
        self._buffer = bytearray()
        self._large: bytearray | None = None
        self._large_header = b""
        self._filled = 0
        self._wanted = 0

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes | bytearray]]:
        """Take bytes in; yield each complete (header, payload).

        Raises:
            BrokenFrame: the bytes are not frames.
        """
        if self._large is not None:
            data = self._fill(data)
            if self._filled < self._wanted:
                return
            payload, self._large = self._large, None
            yield self._large_header, payload
        if self._buffer:
            self._buffer += data
            data = bytes(self._buffer)
            self._buffer.clear()
        yield from self._cut(data)

    def _cut(self, data: bytes) -> Iterator[tuple[bytes, bytes | bytearray]]:
        at, end = 0, len(data)
        while end - at >= PREFIX.size:
            header_length, payload_length = PREFIX.unpack_from(data, at)
            if header_length > self._max_header:
                raise BrokenFrame(f"a header of {header_length} bytes")
            if payload_length > self._max_payload:
                raise BrokenFrame(f"a payload of {payload_length} bytes")
            body = at + PREFIX.size + header_length
            if end < body:
                break
            header = data[at + PREFIX.size : body]
            if end - body < payload_length:
                self._start_large(header, payload_length, data[body:])
                return
            yield header, data[body : body + payload_length]
            at = body + payload_length
        if at < end:
            self._buffer += data[at:] if at else data

    def _start_large(self, header: bytes, length: int, start: bytes) -> None:
        self._large = bytearray(min(length, AT_ONCE))
        self._large_header = header
        self._filled = 0
        self._wanted = length
        self._fill(start)

    def _fill(self, data: bytes) -> bytes:
        large = self._large
        assert large is not None
        take = min(len(data), self._wanted - self._filled)
        if self._filled + take > len(large):
            large += bytes(min(self._wanted, 2 * (self._filled + take)) - len(large))
        large[self._filled : self._filled + take] = data[:take]
        self._filled += take
        return data[take:]
