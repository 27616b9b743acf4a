"""The records of zip archives, with large ones' (zip64): bytes to values, no I/O."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

from shoal.control.artifacts.intake.members import FILE, FOLDER, damaged

END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CENTRAL, LOCAL, DESCRIPTOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"
END_SIZE, END64_SIZE, LOCATOR64_SIZE, LOCAL_SIZE = 22, 56, 20, 30
STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")

_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED, _DESCRIBED, _PATCH, _STRONG, _UTF8, _MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075


@dataclass(frozen=True, slots=True)
class End:
    """Where the directory is.

    Attributes:
        entries: how many it has.
        offset, size: of the directory, in bytes.
    """

    entries: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory.

    Attributes:
        raw_name: as it stands there.
        packed, unpacked: bytes.
        offset: of the local header.
    """

    name: str
    raw_name: bytes
    kind: str
    method: int
    flags: int
    crc: int
    packed: int
    unpacked: int
    offset: int

    @property
    def described(self) -> bool:
        """Whether a descriptor follows the content."""
        return bool(self.flags & _DESCRIBED)


def parse_end(data: bytes, archive: str) -> End | None:
    """The last record, from its signature to the file's end; None if the large record before it has to be read."""
    signature, disk, first, here, entries, size, offset, comment = _END.unpack_from(data)
    if signature != END or len(data) != END_SIZE + comment:
        raise damaged(archive, "is cut off, or is followed by something else")
    if here != entries or (disk, first) not in ((0, 0), (_FULL16, _FULL16)):
        raise damaged(archive, "is one of several parts")
    if _FULL16 in (entries, disk) or _FULL32 in (size, offset):
        return None
    return End(entries, offset, size)


def parse_locator64(data: bytes, archive: str) -> int:
    """Where the large last record is."""
    signature, disk, offset, disks = _LOCATOR64.unpack(data)
    if signature != LOCATOR64 or disk or disks != 1:
        raise damaged(archive, "has a damaged end")
    return int(offset)


def parse_end64(data: bytes, archive: str) -> End:
    """The large last record."""
    signature, length, _, _, disk, first, here, entries, size, offset = _END64.unpack(data)
    if signature != END64 or length != END64_SIZE - 12 or disk or first or here != entries:
        raise damaged(archive, "has a damaged end")
    return End(entries, offset, size)


def parse_directory(data: bytes, entries: int, archive: str) -> list[Entry]:
    """All entries of the directory, which has exactly these.

    Raises:
        InvalidInput: it is damaged, or an entry is packed in a way that is not taken.
    """
    found, at = [], 0
    for _ in range(entries):
        if len(data) - at < _CENTRAL.size or data[at : at + 4] != CENTRAL:
            raise damaged(archive, "has a damaged directory")
        fields = _CENTRAL.unpack_from(data, at)
        name_size, extra_size, comment_size = fields[10:13]
        start = at + _CENTRAL.size
        at = start + name_size + extra_size + comment_size
        if at > len(data):
            raise damaged(archive, "has a damaged directory")
        raw_name = data[start : start + name_size]
        found.append(_entry(fields, raw_name, _extras(data[start + name_size : at - comment_size], archive), archive))
    if at != len(data):
        raise damaged(archive, "has something behind its directory")
    return found


def check_local(data: bytes, entry: Entry) -> int:
    """Compare a local header, without its name, with the directory's entry; returns the bytes of its extra fields.

    Raises:
        InvalidInput: they differ: one of them lies.
    """
    signature, _, flags, method, _, _, crc, packed, unpacked, name_size, extra_size = _LOCAL.unpack(data)
    if signature != LOCAL or method != entry.method or name_size != len(entry.raw_name):
        raise damaged(entry.name, "differs between the archive's directory and its content")
    if (flags ^ entry.flags) & (_ENCRYPTED | _DESCRIBED | _UTF8 | _STRONG | _MASKED):
        raise damaged(entry.name, "differs between the archive's directory and its content")
    known = (entry.crc, entry.packed, entry.unpacked)
    for said, right in zip((crc, packed, unpacked), known, strict=True):
        if said != right and not (entry.described and not said) and said != _FULL32:
            raise damaged(entry.name, "differs between the archive's directory and its content")
    return int(extra_size)


def check_descriptor(data: bytes, entry: Entry) -> None:
    """Compare what follows the content of an entry with the directory.

    Raises:
        InvalidInput: it is no descriptor of this entry.
    """
    sizes = entry.packed, entry.unpacked
    forms = [struct.pack("<L2Q", entry.crc, *sizes)]
    if max(sizes) <= _FULL32:
        forms.append(struct.pack("<3L", entry.crc, *sizes))
    if data not in forms and data.removeprefix(DESCRIPTOR) not in forms:
        raise damaged(entry.name, "is followed by something hidden")


def _entry(fields: tuple[int, ...], raw_name: bytes, extras: dict[int, bytes], archive: str) -> Entry:
    flags, method, crc, attributes = fields[3], fields[4], fields[7], fields[15]
    name = _text(raw_name, flags)
    unpacked, packed, offset = _large(fields[9], fields[8], fields[16], extras.get(_ZIP64), archive)
    if flags & (_ENCRYPTED | _STRONG | _MASKED):
        raise damaged(name, "is encrypted")
    if method not in (STORED, DEFLATED) or flags & _PATCH:
        raise damaged(name, "is packed in a way that is not understood; only deflate is")
    if _UNICODE_PATH in extras and extras[_UNICODE_PATH][5:] != raw_name:
        raise damaged(name, "has two different names")
    return Entry(name, raw_name, _kind(name, attributes, unpacked), method, flags, crc, packed, unpacked, offset)


def _kind(name: str, attributes: int, size: int) -> str:
    """What an entry is, by its name and by its Unix mode, if it has one."""
    mode = attributes >> 16
    kind = stat.S_IFMT(mode)
    if kind in (stat.S_IFREG, 0):
        folder = name.endswith("/")
        if folder and size:
            raise damaged(name, "is a folder with content")
        return FOLDER if folder else FILE
    if kind == stat.S_IFDIR:
        if not name.endswith("/") or size:
            raise damaged(name, "is both a file and a folder")
        return FOLDER
    return _SPECIAL.get(kind, "of a kind that is not known")


_SPECIAL = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def _text(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8", "surrogateescape") if flags & _UTF8 else raw.decode("cp437")


def _extras(data: bytes, archive: str) -> dict[int, bytes]:
    """The extra fields of an entry, by their numbers."""
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        number, size = struct.unpack_from("<HH", data)
        if number in found and number in (_ZIP64, _UNICODE_PATH):
            raise damaged(archive, "has a damaged directory")
        found[number] = data[4 : 4 + size]
        if len(found[number]) != size:
            raise damaged(archive, "has a damaged directory")
        data = data[4 + size :]
    return found


def _large(unpacked: int, packed: int, offset: int, extra: bytes | None, archive: str) -> list[int]:
    """Sizes and offset, those that do not fit into their fields from the extra field."""
    values = [unpacked, packed, offset]
    data = extra or b""
    for index, value in enumerate(values):
        if value == _FULL32:
            if len(data) < 8:
                raise damaged(archive, "has a damaged directory")
            values[index] = struct.unpack_from("<Q", data)[0]
            data = data[8:]
    return values
