"""Packed streams (gzip, bzip2, xz) as plain ones, never unpacking more at once than is asked for."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from shoal.control.artifacts.intake.members import Ratio, damaged

CHUNK = 256 * 1024
XZ_MEMORY = 512 * 1024 * 1024


class Decoder(Protocol):
    """One packed stream. As the standard library's, of which gzip's is a little different."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Plain:
    """A stream that is not packed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """At most this many bytes; none at the end."""
        return self._file.read(min(size, CHUNK))


class Packed:
    """A packed stream, unpacked; several streams one after the other are one, as all packers have it.

    Args:
        file: where it is read from, to its end: what follows that is no stream is refused.
        name: of the file, for errors.
    """

    def __init__(self, file: BinaryIO, decoder: Callable[[], Decoder], ratio: Ratio, name: str) -> None:
        self._file = file
        self._new = decoder
        self._decoder = decoder()
        self._ratio = ratio
        self._name = name
        self._first = b""

    def read(self, size: int) -> bytes:
        """At most this many bytes; none at the end.

        Raises:
            InvalidInput: it is damaged or cut off.
            TooLarge: it unpacks to too much.
        """
        while True:
            if self._decoder.eof and not self._next():
                return b""
            data = self._input() if self._decoder.needs_input else b""
            part = self._unpack(data, min(size, CHUNK))
            if part:
                self._ratio.add(unpacked=len(part))
                return part

    def _next(self) -> bool:
        """Begin with the stream that follows; false if none does."""
        rest = self._decoder.unused_data or self._file.read(CHUNK)
        if not rest:
            return False
        self._decoder = self._new()
        self._first = rest
        return True

    def _input(self) -> bytes:
        data, self._first = self._first or self._file.read(CHUNK), b""
        if not data:
            raise damaged(self._name, "is cut off")
        self._ratio.add(packed=len(data))
        return data

    def _unpack(self, data: bytes, size: int) -> bytes:
        try:
            return self._decoder.decompress(data, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise damaged(self._name, "is damaged, or is followed by something else") from error


class Gzip:
    """A gzip stream in the manner of the standard library's other decoders."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        part = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        self.needs_input = not self._tail
        return part


def _xz() -> Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


DECODERS: dict[str, Callable[[], Decoder]] = {"gzip": Gzip, "bzip2": bz2.BZ2Decompressor, "xz": _xz}
