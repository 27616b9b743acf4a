"""The headers of tar archives (v7, ustar, GNU, pax): bytes to values, no I/O. What has two readings is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoal.control.artifacts.intake.members import FILE, FOLDER, damaged

BLOCK = 512
KINDS = {
    b"0": FILE,
    b"\0": FILE,
    b"7": FILE,
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": FOLDER,
    b"6": "a pipe",
    b"S": "a sparse file",
}
LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX = b"L", b"K", b"x", b"g"
META = (LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX)

_OCTAL = re.compile(rb"[ ]*([0-7]{1,12})[ \0]*\Z")
_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ")
_SPARSE = ("GNU.sparse.", "SCHILY.realsize")


@dataclass(frozen=True, slots=True)
class Header:
    """One header block.

    Attributes:
        name: as it stands there; a header before may say a longer one.
        size: bytes of content that follow.
        kind: the byte that tells what it is of.
    """

    name: str
    size: int
    kind: bytes

    @property
    def described(self) -> str:
        """The kind in words."""
        if self.kind == b"\0" and self.name.endswith("/"):
            return FOLDER
        return KINDS.get(self.kind, "of a kind that is not known")


def parse(block: bytes) -> Header:
    """A header that is one.

    Raises:
        InvalidInput: its checksum or a number is wrong.
    """
    stored = _number(block[148:156])
    if stored is None or stored != sum(block[:148]) + sum(block[156:]) + 8 * 32:
        raise damaged("the archive", "has a damaged header, or is no tar archive")
    name = text(block[:100].partition(b"\0")[0])
    size = _number(block[124:136])
    if size is None:
        raise damaged(name, "has a size that is no number")
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{text(block[345:500].partition(bytes(1))[0])}/{name}"
    return Header(name, size, block[156:157])


def pax_records(data: bytes) -> dict[str, str]:
    """The records of an extended header.

    Raises:
        InvalidInput: they are malformed, or say one thing twice.
    """
    records: dict[str, str] = {}
    while data:
        match = _RECORD.match(data)
        length = int(match[1]) if match else 0
        if not match or not match.end() < length <= len(data) or data[length - 1 : length] != b"\n":
            raise damaged("the archive", "has a damaged extended header")
        name, found, value = data[match.end() : length - 1].partition(b"=")
        if not found or text(name) in records:
            raise damaged("the archive", "has a damaged extended header")
        records[text(name)] = text(value)
        data = data[length:]
    return records


def is_sparse(records: dict[str, str]) -> bool:
    """Whether records tell of a file with holes, whose content is not its content."""
    return any(name.startswith(_SPARSE) for name in records)


def text(data: bytes) -> str:
    """A name; bytes that are no text are kept so that the name is refused."""
    return data.decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int | None:
    """Octal digits, or GNU's large numbers; None if it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.match(field)
    if match:
        return int(match[1], 8)
    return 0 if not field.strip(b" \0") else None
