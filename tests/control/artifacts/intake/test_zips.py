"""Archives of zip as a whole: each byte belongs to a member, the directory or the end."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib

import pytest

from shoal.control.artifacts.intake import zips
from shoal.control.artifacts.intake.members import FILE, FOLDER, Budget
from shoal.control.artifacts.intake.zips import DIRECTORY_BYTES_PER_ENTRY, read_zip
from shoal.core.errors import InvalidInput, TooLarge
from support.hostile_archives import ONNX, ZipBuilder, deflate


def read(data: bytes, budget: Budget = Budget()) -> dict[str, bytes]:  # noqa: B008 - a frozen value
    return {member.name: b"".join(member.chunks()) for member in read_zip(io.BytesIO(data), "a.zip", budget)}


def refused(data: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [0, 1, 200_000, 600_000])
def test_members_of_any_size_come_out(method: int, size: int) -> None:
    files = {"a": os.urandom(size), "sub/b": bytes(size), "c": b"c"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.comment, info.compress_type = b"a comment", method
            archive.writestr(info, data)
        archive.comment = b"x" * 1000
    assert read(out.getvalue()) == files
    out.seek(0)
    members = list(read_zip(out, "a.zip", Budget()))
    assert [(each.kind, each.size) for each in members] == [(FILE, size), (FILE, size), (FILE, 1)]


def test_what_went_in_is_counted_with_what_comes_out() -> None:
    honest = os.urandom(5000)
    budget = Budget(ratio=2, ratio_free_bytes=0)
    for method in (0, 8):
        assert read(ZipBuilder().add("a", honest, method=method).end(), budget) == {"a": honest}
    with pytest.raises(TooLarge):
        read(ZipBuilder().add("a", bytes(5000)).end(), budget)


def test_entries_may_be_as_many_as_the_budget_says() -> None:
    data = ZipBuilder().add("a", ONNX).add("b/", mode=0o40755, method=0).end()
    assert [each.kind for each in read_zip(io.BytesIO(data), "a.zip", Budget(entries=2))] == [FILE, FOLDER]
    with pytest.raises(TooLarge, match="more than 1 files and folders"):
        read(data, Budget(entries=1))


@pytest.mark.parametrize("more", [0, 1])
def test_a_directory_may_be_as_large_as_its_bound(more: int) -> None:
    assert DIRECTORY_BYTES_PER_ENTRY == 2048
    room = 2 * DIRECTORY_BYTES_PER_ENTRY - len(ZipBuilder().add("a", ONNX, extra=bytes(4)).directory[0]) + more
    data = ZipBuilder().add("a", ONNX, extra=struct.pack("<HH", 0x9999, room) + bytes(room)).end()
    if more:
        refused(data, "damaged end")
    else:
        assert read(data) == {"a": ONNX}


def test_a_comment_may_be_as_long_as_there_is_room_for() -> None:
    data = ZipBuilder().add("a", ONNX).end(comment=b"x" * 65_535)
    assert read(data) == {"a": ONNX}
    refused(data + b"x", "is cut off")


CRC = struct.pack("<L", zlib.crc32(ONNX))
SIZES = struct.pack("<2L", len(deflate(ONNX)), len(ONNX))
LARGE_SIZES = struct.pack("<2Q", len(deflate(ONNX)), len(ONNX))


@pytest.mark.parametrize(
    ("flags", "tail", "told"),
    [
        (0x808, CRC + SIZES, ""),
        (0x808, b"PK\7\x08" + CRC + SIZES, ""),
        (0x808, CRC + LARGE_SIZES, ""),
        (0x808, b"PK\7\x08" + CRC + LARGE_SIZES, ""),
        (0x808, b"", ""),
        (0x808, CRC + b"evil" * 2, "something hidden"),
        (0x808, b"PK\7\x08" + CRC + b"evil" * 4, "something hidden"),
        (0x800, CRC + SIZES, "hidden beside it"),
        (0x808, CRC + SIZES + b"evil!", "hidden beside it"),
        (0x808, CRC, "hidden beside it"),
        (0x808, bytes(12), "something hidden"),
    ],
)
@pytest.mark.parametrize("followed", [False, True])
def test_behind_a_member_is_its_descriptor_or_nothing(flags: int, tail: bytes, told: str, followed: bool) -> None:
    archive = ZipBuilder().add("a", ONNX, flags=flags, tail=tail)
    data = (archive.add("b", b"b") if followed else archive).end()
    if told:
        refused(data, told)
    else:
        assert read(data) == ({"a": ONNX, "b": b"b"} if followed else {"a": ONNX})


@pytest.mark.parametrize("shift", [-1, 1, 1000])
def test_the_directory_is_where_the_end_says(shift: int) -> None:
    refused(ZipBuilder().add("a", ONNX).end(shift=shift), "damaged end")


def test_nothing_is_before_the_first_member_or_behind_the_last() -> None:
    hidden = ZipBuilder()
    hidden.out.write(b"hidden")
    refused(hidden.add("a", ONNX).end(), "hidden beside it")
    empty = ZipBuilder()
    empty.out.write(b"hidden")
    refused(empty.end(), "something before its directory")
    assert read(ZipBuilder().end()) == {}


def test_members_come_as_they_lie_whatever_the_order_of_the_directory() -> None:
    archive = ZipBuilder().add("a", ONNX).add("b", b"b").add("c", b"c")
    archive.directory.reverse()
    assert list(read(archive.end())) == ["a", "b", "c"]


def test_a_name_is_the_same_in_both_places() -> None:
    refused(ZipBuilder().add("a", ONNX, local_name=b"b").end(), "differs between")


@pytest.mark.parametrize("size", [100, 2 * zips.CHUNK])
def test_packed_content_ends_where_it_says(size: int) -> None:
    content = os.urandom(size)
    packed = deflate(content)
    refused(ZipBuilder().add("a", content, packed_data=packed[:-1]).end(), "is cut off|is damaged")
    refused(ZipBuilder().add("a", content, packed_data=packed + b"x").end(), "something behind its content")
    refused(ZipBuilder().add("a", content, packed_data=b"\xff" + packed[1:]).end(), "is damaged")
    refused(ZipBuilder().add("a", content, packed_data=packed[: size // 2]).end(), "is cut off")
    refused(ZipBuilder().add("a", content[:-1] + b"x", method=0, crc=zlib.crc32(content)).end(), "checksum is wrong")


def test_no_more_is_unpacked_at_once_than_a_chunk() -> None:
    content = bytes(3 * zips.CHUNK)
    (member,) = read_zip(io.BytesIO(ZipBuilder().add("a", content).end()), "a.zip", Budget(ratio=10_000))
    parts = [len(part) for part in member.chunks()]
    assert (sum(parts), max(parts)) == (len(content), zips.CHUNK)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\5\6", b"PK\5\6" + bytes(17), bytes(100)])
def test_what_has_no_end_is_none(data: bytes) -> None:
    refused(data, "is cut off, or is no zip archive")


@pytest.mark.parametrize("gap", [0, 1, 20])
def test_between_a_large_end_and_its_locator_is_nothing(gap: int) -> None:
    plain = ZipBuilder().add("a", ONNX)
    whole = plain.end()
    at, size = plain.out.tell(), len(plain.directory[0])
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    data = whole[: at + size] + end64 + bytes(gap) + locator + end
    if gap:
        refused(data, "damaged end")
    else:
        assert read(data) == {"a": ONNX}


def test_a_reference_to_a_large_end_that_is_not_there_is_refused() -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    for before in (b"", bytes(19), bytes(20), bytes(100)):
        refused(before + end, "cut off|damaged end")
