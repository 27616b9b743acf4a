"""The members of a tar archive, read once from its beginning to its end.

An archive is complete or refused: it ends with two empty blocks, and nothing but empty ones follows. The reader is our
own because it has to be stricter than one that unpacks whatever it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from shoal.control.artifacts.intake import tar_headers
from shoal.control.artifacts.intake.members import FILE, FOLDER, Member, damaged
from shoal.control.artifacts.intake.tar_headers import BLOCK, META, Header

META_BYTES = 64 * 1024
_EMPTY = bytes(BLOCK)


class Stream(Protocol):
    """Where an archive is read from."""

    def read(self, size: int) -> bytes: ...


def read_tar(stream: Stream, name: str) -> Iterator[Member]:
    """The members of an archive; each is to be read before the next is asked for, or is skipped.

    Args:
        name: of the archive, for errors.

    Raises:
        InvalidInput: it is damaged, cut off, or no tar archive.
    """
    source = _Source(stream, name)
    while (header := source.header()) is not None:
        said: dict[str, str] = {}
        while header.kind in META:
            _add(said, header, source)
            following = source.header()
            if following is None:
                raise damaged(name, "is cut off")
            header = following
        member, content = _member(header, said, source)
        yield member
        content.skip()


class _Source:
    """Blocks and contents of a stream."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self.name = name

    def header(self) -> Header | None:
        """The next header, or None at the proper end."""
        block = self.exactly(BLOCK)
        if block != _EMPTY:
            return tar_headers.parse(block)
        if self.exactly(BLOCK) != _EMPTY:
            raise damaged(self.name, "ends in its middle")
        while part := self._stream.read(1024 * 1024):
            if part.count(0) != len(part):
                raise damaged(self.name, "is followed by something else")
        return None

    def exactly(self, size: int) -> bytes:
        parts = []
        while size:
            part = self.some(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def some(self, size: int) -> bytes:
        part = self._stream.read(size)
        if not part:
            raise damaged(self.name, "is cut off")
        return part


class _Content:
    """The content of one member, and the padding after it."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self._left = size
        self._padding = -size % BLOCK

    def chunks(self) -> Iterator[bytes]:
        while self._left:
            part = self._source.some(self._left)
            self._left -= len(part)
            yield part

    def skip(self) -> None:
        for _ in self.chunks():
            pass
        self._source.exactly(self._padding)


def _add(said: dict[str, str], header: Header, source: _Source) -> None:
    """Note what a header says of the member that follows."""
    if header.size > META_BYTES:
        raise damaged(source.name, "has an extended header that is too long")
    content = _Content(source, header.size)
    data = b"".join(content.chunks())
    content.skip()
    if header.kind == tar_headers.GLOBAL_PAX:
        records = tar_headers.pax_records(data)
        if {"path", "linkpath", "size"} & records.keys() or tar_headers.is_sparse(records):
            raise damaged(source.name, "gives one name or size to all its members")
        return
    records = tar_headers.pax_records(data) if header.kind == tar_headers.PAX else _long(header, data)
    if said.keys() & records.keys():
        raise damaged(source.name, "gives two names to one member")
    said.update(records)


def _long(header: Header, data: bytes) -> dict[str, str]:
    key = "path" if header.kind == tar_headers.LONG_NAME else "linkpath"
    return {key: tar_headers.text(data.removesuffix(b"\0"))}


def _member(header: Header, said: dict[str, str], source: _Source) -> tuple[Member, _Content]:
    name, kind, size = said.get("path", header.name), header.described, header.size
    if "size" in said:
        if not said["size"].isascii() or not said["size"].isdecimal() or len(said["size"]) > 18:
            raise damaged(name, "has a size that is no number")
        size = int(said["size"])
    if tar_headers.is_sparse(said):
        kind = tar_headers.KINDS[b"S"]
    if kind == FOLDER and size:
        raise damaged(name, "is a folder with content")
    content = _Content(source, size if kind == FILE else 0)
    return Member(name, kind, size if kind == FILE else 0, content.chunks), content
