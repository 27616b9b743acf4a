"""Content codings of HTTP bodies: gzip and deflate in, gzip out.

Nothing here knows a socket. Inflating stops at the limit, so a small body that unfolds into gigabytes costs at most the
limit; one that unfolds suspiciously well is measured before it is given memory; nested codings are refused, because
each level would multiply what a bomb can do. A shell calls `decompress_small` on its loop first: it gives up early
(None) on whatever would hold the loop, which is then given to `decompress` in an executor. `compress` is deterministic,
so equal answers have equal bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

from shoal.core.errors import InvalidInput, TooLarge, Unsupported

ON_LOOP_BYTES = 64 * 1024
"""Bodies above this are compressed and decompressed off the loop."""

MIN_COMPRESS_BYTES = 1024
"""Answers below this are not worth compressing: they fit one packet anyway."""

_ON_LOOP_INFLATED = 4 * ON_LOOP_BYTES
_PIECE_BYTES = 256 * 1024
_SUSPECT_BYTES = 1024 * 1024
_SUSPECT_RATIO = 50
_MAX_MEMBERS = 1024  # concatenated gzip members are legal; a million empty ones are an attack
_MAX_MEMOISED = 256
_GZIP_WINDOW = 31
_IDENTITY = frozenset((b"", b"identity"))
_GZIP = frozenset((b"gzip", b"x-gzip"))

Buffer = bytes | bytearray | memoryview


def decompress(body: Buffer, encoding: bytes, limit: int) -> bytes:
    """The body without its content coding.

    Args:
        body: as received.
        encoding: the value of Content-Encoding.
        limit: bytes the result may have.

    Raises:
        Unsupported: the coding is unknown, or there is more than one.
        InvalidInput: the body is truncated or corrupt.
        TooLarge: the result would be larger than `limit`.
    """
    name = encoding.strip().lower()
    if name in _IDENTITY:
        return _within(bytes(body), limit)
    if name in _GZIP:
        return _gunzip(body, limit)
    if name == b"deflate":
        return _inflate_single(body, limit)
    raise Unsupported(
        "This Content-Encoding is not supported.",
        hint="Send gzip, deflate or no Content-Encoding; codings must not be nested.",
        field="Content-Encoding",
    )


def decompress_small(body: Buffer, encoding: bytes, limit: int) -> bytes | None:
    """Like `decompress`, but None if it would take longer than an event loop may be held (about 0.3 ms)."""
    if len(body) > ON_LOOP_BYTES:
        return None
    try:
        return decompress(body, encoding, min(limit, _ON_LOOP_INFLATED))
    except TooLarge:
        if limit <= _ON_LOOP_INFLATED:
            raise
        return None


def compress(body: Buffer) -> bytes:
    """The body as one gzip member: fastest level, no time stamp."""
    return zlib.compress(body, 1, wbits=_GZIP_WINDOW)


def accepts_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the client's Accept-Encoding allows gzip; a quality of zero forbids it, no header means no."""
    value = headers.get(b"accept-encoding")
    if value is None:
        return False
    return _allows_gzip_memoised(value) if len(value) <= _MAX_MEMOISED else _allows_gzip(value)


def _allows_gzip(value: bytes) -> bool:
    anything = False
    for item in value.lower().split(b","):
        name, _, parameters = item.partition(b";")
        name = name.strip()
        if name in _GZIP:
            return _quality(parameters) > 0.0
        if name == b"*":
            anything = _quality(parameters) > 0.0
    return anything


_allows_gzip_memoised = lru_cache(maxsize=256)(_allows_gzip)


def _quality(parameters: bytes) -> float:
    name, _, value = parameters.strip().partition(b"=")
    if not name:
        return 1.0
    try:
        return float(value) if name.strip() == b"q" else 1.0
    except ValueError:
        return 0.0


def _gunzip(body: Buffer, limit: int) -> bytes:
    parts: list[bytes] = []
    left, rest = limit, memoryview(body)
    for _ in range(_MAX_MEMBERS):
        inflated, rest = _inflate(rest, _GZIP_WINDOW, left)
        parts.append(inflated)
        left -= len(inflated)
        if not rest:
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise InvalidInput("The gzip body has too many members.", field="body")


def _inflate_single(body: Buffer, limit: int) -> bytes:
    inflated, rest = _inflate(memoryview(body), _deflate_window(body), limit)
    if rest:
        raise InvalidInput("The deflate body is followed by other data.", field="body")
    return inflated


def _deflate_window(body: Buffer) -> int:
    """Deflate means zlib's format (RFC 9110), but some clients send it without zlib's header."""
    has_header = len(body) >= 2 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS


def _inflate(body: memoryview, window: int, limit: int) -> tuple[bytes, memoryview]:
    """The first compressed stream of the body, and what follows it."""
    pieces: list[bytes] = []
    total, measured = 0, False
    stream = _Stream(body, window)
    for piece in stream:
        pieces.append(piece)
        total += len(piece)
        _check_size(total, limit)
        if total > _SUSPECT_BYTES and not measured and total > _SUSPECT_RATIO * stream.position:
            _measure(body, window, limit)
            measured = True
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), body[stream.position :]


def _measure(body: memoryview, window: int, limit: int) -> None:
    """Inflate without keeping anything: a bomb then costs neither its memory nor the faulting-in of it."""
    total = 0
    for piece in _Stream(body, window):
        total += len(piece)
        _check_size(total, limit)


class _Stream:
    """Inflates one compressed stream in pieces. `position` is how many bytes of the body were taken so far."""

    def __init__(self, body: memoryview, window: int) -> None:
        self.position = 0
        self._body = body
        self._stream = zlib.decompressobj(window)

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces()
        except zlib.error as error:
            raise InvalidInput("The compressed body is corrupt.", field="body") from error

    def _pieces(self) -> Iterator[bytes]:
        stream = self._stream
        while not stream.eof:
            taken = self._body[self.position : self.position + _PIECE_BYTES]
            if not taken:
                raise InvalidInput("The compressed body is truncated.", field="body")
            piece = stream.decompress(taken, _PIECE_BYTES)
            left = stream.unused_data if stream.eof else stream.unconsumed_tail
            self.position += len(taken) - len(left)
            yield piece


def _within(body: bytes, limit: int) -> bytes:
    _check_size(len(body), limit)
    return body


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(
            f"The decompressed body is larger than {limit} bytes.",
            hint="Send less at once, or raise the limit of the body in the node's settings.",
            field="body",
        )
