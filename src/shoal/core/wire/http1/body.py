"""Bodies that come in pieces: a buffer for them, and the chunked coding, decoded strictly.

Memory follows what was received, never what was announced, and tiny pieces cost no more than large ones.
"""

from __future__ import annotations

import re

from shoal.core.limits import WireLimits
from shoal.core.wire.http1.head import Refusal

_SMALL = 16 * 1024
_FLUSH = 256 * 1024
_MAX_SIZE_LINE = 256
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class BodyBuffer:
    """Collects the pieces of a body. Large ones are kept as they are, small ones are gathered."""

    __slots__ = ("_pieces", "_tail")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._tail = bytearray()

    def append(self, piece: bytes) -> None:
        if len(piece) >= _SMALL and not self._tail:
            self._pieces.append(piece)
            return
        self._tail += piece
        if len(self._tail) >= _FLUSH:
            self._pieces.append(bytes(self._tail))
            self._tail.clear()

    def content(self) -> bytes:
        """All of it, joined once."""
        return b"".join((*self._pieces, self._tail))


class ChunkedBody:
    """Decodes a chunked body. Extensions and trailers are checked, limited and ignored."""

    __slots__ = ("_buffer", "_chunks", "_left", "_limits", "_size", "_state", "complete")

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._buffer = BodyBuffer()
        self._chunks = 0
        self._size = 0
        self._left = 0  # bytes of the current chunk that are still to come
        self._state = ChunkedBody._size_line
        self.complete = False

    def take(self, data: bytes, position: int) -> int:
        """Decode from `position` on; returns the position of the first byte not used: the rest is needed again.

        Raises:
            Refusal: the coding is broken, or a limit is crossed.
        """
        while not self.complete:
            after = self._state(self, data, position)
            if after < 0:
                return position
            position = after
        return position

    def content(self) -> bytes:
        return self._buffer.content()

    # Each state takes the next element and returns the position after it, or -1 if more must be read first.

    def _size_line(self, data: bytes, position: int) -> int:
        match = _SIZE_LINE.match(data, position, position + _MAX_SIZE_LINE)
        if match is None:
            return self._incomplete_size(data, position)
        size = int(match[1], 16)
        self._size += size
        if self._size > self._limits.body_bytes:
            raise Refusal(413, "too_large", f"The body is larger than {self._limits.body_bytes} bytes.")
        self._chunks += 1
        if self._chunks > self._limits.chunk_count:
            raise _broken(f"The body has more than {self._limits.chunk_count} chunks.")
        start, stop = match.end(), match.end() + size
        if size and data[stop : stop + 2] == b"\r\n":  # all of it is there: the way of small chunks
            self._buffer.append(data[start:stop])
            return stop + 2
        self._left = size
        self._state = ChunkedBody._chunk if size else ChunkedBody._trailers
        return start

    def _incomplete_size(self, data: bytes, position: int) -> int:
        line = data[position : position + _MAX_SIZE_LINE]
        whole = b"0\r\n" if not line else line.removesuffix(b"\r") + b"\r\n"
        if len(line) == _MAX_SIZE_LINE or not _SIZE_LINE.fullmatch(whole):
            raise _broken("A chunk's size is malformed.")
        return -1

    def _chunk(self, data: bytes, position: int) -> int:
        stop = min(len(data), position + self._left)
        if stop == position:
            return -1
        self._left -= stop - position
        self._buffer.append(data[position:stop])
        if not self._left:
            self._state = ChunkedBody._chunk_end
        return stop

    def _chunk_end(self, data: bytes, position: int) -> int:
        end = data[position : position + 2]
        if not b"\r\n".startswith(end):
            raise _broken("A chunk is longer than its size says.")
        if len(end) < 2:
            return -1
        self._state = ChunkedBody._size_line
        return position + 2

    def _trailers(self, data: bytes, position: int) -> int:
        if data.startswith(b"\r\n", position):
            self.complete = True
            return position + 2
        end = data.find(b"\r\n\r\n", position)
        if (end if end >= 0 else len(data)) - position > self._limits.header_bytes:
            raise Refusal(431, "too_large", f"The trailers have more than {self._limits.header_bytes} bytes.")
        if end < 0:
            return -1
        self._check_trailers(data[position:end].split(b"\r\n"))
        self.complete = True
        return end + 4

    def _check_trailers(self, lines: list[bytes]) -> None:
        if len(lines) > self._limits.header_count:
            raise Refusal(431, "too_large", f"The trailers are more than {self._limits.header_count}.")
        if not all(map(_TRAILER.fullmatch, lines)):
            raise _broken("A trailer is malformed.")


def _broken(message: str) -> Refusal:
    return Refusal(400, "invalid_input", message)
