"""The members of a zip archive: where its directory says they are, and each byte of the file accounted for.

A zip archive can be read in more than one way: by its directory, or from its beginning. Only one that reads the same in
both is taken: members follow each other without overlaps and without anything between them, from the first byte of the
file to the directory, and the directory is followed by its end alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from shoal.control.artifacts.intake import zip_records as records
from shoal.control.artifacts.intake.members import Budget, Member, Ratio, damaged
from shoal.control.artifacts.intake.zip_records import END, END64_SIZE, END_SIZE, LOCAL_SIZE, LOCATOR64_SIZE, End, Entry
from shoal.core.errors import TooLarge

CHUNK = 256 * 1024
MAX_COMMENT = 65_535
DIRECTORY_BYTES_PER_ENTRY = 2_048
_DESCRIPTORS = (12, 16, 20, 24)


def read_zip(file: BinaryIO, name: str, budget: Budget) -> Iterator[Member]:
    """The members of an archive, in the order in which they lie in it.

    Args:
        file: can be read anywhere.
        name: of the archive, for errors.

    Raises:
        InvalidInput: it is damaged, cut off, encrypted, or can be read in two ways.
        TooLarge: it has more entries than the budget.
    """
    end, directory_end = _find_end(file, name)
    if end.entries > budget.entries:
        raise TooLarge(f"the archive has more than {budget.entries:,} files and folders", hint="push fewer files")
    if end.offset + end.size != directory_end or end.size > (end.entries + 1) * DIRECTORY_BYTES_PER_ENTRY:
        raise damaged(name, "has a damaged end, or something before its beginning")
    directory = _read(file, end.offset, end.size, name)
    entries = sorted(records.parse_directory(directory, end.entries, name), key=lambda entry: entry.offset)
    starts = _starts(file, entries, end.offset, name)
    for entry, start in zip(entries, starts, strict=True):
        content = partial(_content, file, entry, start, Ratio(budget, entry.name))
        yield Member(entry.name, entry.kind, entry.unpacked, content)


def _find_end(file: BinaryIO, name: str) -> tuple[End, int]:
    """The record at the end, and where the directory has to end."""
    size = file.seek(0, 2)
    tail_at = max(0, size - END_SIZE - MAX_COMMENT)
    tail = _read(file, tail_at, size - tail_at, name)
    found = tail.rfind(END)
    if found < 0 or len(tail) - found < END_SIZE:
        raise damaged(name, "is cut off, or is no zip archive")
    at = tail_at + found
    end = records.parse_end(tail[found:], name)
    if end is not None:
        return end, at
    locator = _read(file, at - LOCATOR64_SIZE, LOCATOR64_SIZE, name)
    large = records.parse_locator64(locator, name)
    if large + END64_SIZE != at - LOCATOR64_SIZE:
        raise damaged(name, "has a damaged end")
    return records.parse_end64(_read(file, large, END64_SIZE, name), name), large


def _starts(file: BinaryIO, entries: list[Entry], directory: int, name: str) -> list[int]:
    """Where the content of each entry begins; all bytes before the directory belong to exactly one."""
    starts, at = [], 0
    for index, entry in enumerate(entries):
        following = entries[index + 1].offset if index + 1 < len(entries) else directory
        start = _start(file, entry, name)
        gap = following - (start + entry.packed)
        if entry.offset != at or gap < 0 or (gap and not (entry.described and gap in _DESCRIPTORS)):
            raise damaged(entry.name, "overlaps another member, or something is hidden beside it")
        if gap:
            records.check_descriptor(_read(file, following - gap, gap, name), entry)
        starts.append(start)
        at = following
    if at != directory:
        raise damaged(name, "has something before its directory")
    return starts


def _start(file: BinaryIO, entry: Entry, name: str) -> int:
    header = _read(file, entry.offset, LOCAL_SIZE, name)
    extra = records.check_local(header, entry)
    raw_name = _read(file, entry.offset + LOCAL_SIZE, len(entry.raw_name), name)
    if raw_name != entry.raw_name:
        raise damaged(entry.name, "differs between the archive's directory and its content")
    return entry.offset + LOCAL_SIZE + len(raw_name) + extra


def _content(file: BinaryIO, entry: Entry, start: int, ratio: Ratio) -> Iterator[bytes]:
    """The unpacked content, compared with its checksum at its end."""
    packed = _packed(file, start, entry, ratio)
    parts = packed if entry.method == records.STORED else _inflate(packed, entry)
    crc = 0
    for part in parts:
        ratio.add(unpacked=len(part))
        crc = zlib.crc32(part, crc)
        yield part
    if crc != entry.crc:
        raise damaged(entry.name, "is damaged: its checksum is wrong")


def _packed(file: BinaryIO, start: int, entry: Entry, ratio: Ratio) -> Iterator[bytes]:
    left = entry.packed
    while left:
        part = _read(file, start + entry.packed - left, min(left, CHUNK), entry.name)
        ratio.add(packed=len(part))
        left -= len(part)
        yield part


def _inflate(packed: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    decoder = zlib.decompressobj(-15)
    try:
        for part in packed:
            rest = part
            while rest:
                yield decoder.decompress(rest, CHUNK)
                rest = decoder.unconsumed_tail
            if decoder.unused_data:
                raise damaged(entry.name, "has something behind its content")
        yield decoder.flush()
    except zlib.error as error:
        raise damaged(entry.name, "is damaged") from error
    if not decoder.eof:
        raise damaged(entry.name, "is cut off")


def _read(file: BinaryIO, at: int, size: int, name: str) -> bytes:
    if at < 0:
        raise damaged(name, "is cut off")
    file.seek(at)
    data = file.read(size)
    if len(data) != size:
        raise damaged(name, "is cut off")
    return data
