"""Records of zip archives: any bytes are read in one way, or refused."""

from __future__ import annotations

import dataclasses
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake import zip_records
from shoal.control.artifacts.intake.members import FILE, FOLDER
from shoal.control.artifacts.intake.zip_records import End, Entry
from shoal.core.errors import InvalidInput
from support.hostile_archives import ONNX, ZipBuilder

GOOD = b"".join(ZipBuilder().add("a.onnx", ONNX).add("b/", mode=0o40755, method=0).directory)


@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=150).map(lambda data: zip_records.CENTRAL + data)),
    st.integers(0, 3),
)
def test_any_directory_is_read_or_refused(data: bytes, entries: int) -> None:
    try:
        found = zip_records.parse_directory(data, entries, "a.zip")
    except InvalidInput:
        return
    assert len(found) == entries


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_directory_is_read_or_refused(at: int, value: int) -> None:
    broken = bytearray(GOOD)
    broken[at] = value
    try:
        found = zip_records.parse_directory(bytes(broken), 2, "a.zip")
    except InvalidInput:
        return
    assert [each.kind for each in found] != []
    assert all(each.packed >= 0 and each.unpacked >= 0 and each.offset >= 0 for each in found)


@given(st.binary(min_size=22, max_size=60))
def test_any_end_is_read_or_refused(data: bytes) -> None:
    for each in (data, zip_records.END + data[4:20] + (len(data) - 22).to_bytes(2, "little") + data[22:]):
        try:
            zip_records.parse_end(each, "a.zip")
        except InvalidInput:
            continue


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=56, max_size=56))
def test_any_large_end_is_read_or_refused(locator: bytes, end: bytes) -> None:
    for parse, data in ((zip_records.parse_locator64, locator), (zip_records.parse_end64, end)):
        for each in (data, zip_records.LOCATOR64 + data[4:], zip_records.END64 + data[4:]):
            try:
                parse(each, "a.zip")  # type: ignore[operator]
            except InvalidInput:
                continue


FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF


def end(disk: int = 0, first: int = 0, here: int = 2, entries: int = 2, size: int = 9, offset: int = 7) -> bytes:
    return struct.pack("<4s4H2LH", b"PK\5\6", disk, first, here, entries, size, offset, 3) + b"abc"


def test_the_end_says_where_the_directory_is() -> None:
    assert zip_records.parse_end(end(), "a.zip") == End(entries=2, offset=7, size=9)


@pytest.mark.parametrize(
    "data", [end(size=FULL32), end(offset=FULL32), end(here=FULL16, entries=FULL16), end(disk=FULL16, first=FULL16)]
)
def test_an_end_that_is_too_small_for_a_number_refers_to_the_large_one(data: bytes) -> None:
    assert zip_records.parse_end(data, "a.zip") is None


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (end(here=1), "several parts"),
        (end(disk=1), "several parts"),
        (end(first=1), "several parts"),
        (end(disk=1, first=1), "several parts"),
        (end(disk=FULL16), "several parts"),
        (end()[:-1], "followed by something else"),
        (end() + b"d", "followed by something else"),
        (b"PK\5\7" + end()[4:], "followed by something else"),
    ],
)
def test_an_end_that_lies_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        zip_records.parse_end(data, "a.zip")


def locator(signature: bytes = b"PK\6\7", disk: int = 0, disks: int = 1) -> bytes:
    return struct.pack("<4sLQL", signature, disk, 2**33, disks)


def large(signature: bytes = b"PK\6\6", length: int = 44, disk: int = 0, first: int = 0, here: int = 2) -> bytes:
    return struct.pack("<4sQ2H2L4Q", signature, length, 45, 45, disk, first, here, 2, 9, 2**33)


def test_large_records_are_read() -> None:
    assert zip_records.parse_locator64(locator(), "a.zip") == 2**33
    assert zip_records.parse_end64(large(), "a.zip") == End(entries=2, offset=2**33, size=9)


@pytest.mark.parametrize("data", [locator(b"PK\6\6"), locator(disk=1), locator(disks=0), locator(disks=2)])
def test_a_false_locator_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="damaged end"):
        zip_records.parse_locator64(data, "a.zip")


@pytest.mark.parametrize("data", [large(b"PK\6\7"), large(length=45), large(disk=1), large(first=1), large(here=1)])
def test_a_false_large_end_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="damaged end"):
        zip_records.parse_end64(data, "a.zip")


ENTRY = Entry("a", b"a", FILE, method=8, flags=0x800, crc=7, packed=5, unpacked=6, offset=0)
LOCAL = {"signature": b"PK\3\4", "flags": 0x800, "method": 8, "crc": 7, "packed": 5, "unpacked": 6, "name": 1}


def local(**changes: int | bytes) -> bytes:
    said = {**LOCAL, **changes}
    sums = said["crc"], said["packed"], said["unpacked"]
    return struct.pack("<4s5H3L2H", said["signature"], 20, said["flags"], said["method"], 0, 0, *sums, said["name"], 11)


def test_a_local_header_that_agrees_says_how_long_its_extra_fields_are() -> None:
    assert zip_records.check_local(local(), ENTRY) == 11
    assert zip_records.check_local(local(flags=0x802), ENTRY) == 11, "how hard it was packed is all the same"
    described = dataclasses.replace(ENTRY, flags=0x808)
    assert zip_records.check_local(local(flags=0x808, crc=0, packed=0, unpacked=0), described) == 11
    assert zip_records.check_local(local(packed=FULL32, unpacked=FULL32), ENTRY) == 11


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": b"PK\1\2"},
        {"method": 0},
        {"name": 2},
        {"flags": 0x801},
        {"flags": 0x808},
        {"flags": 0x840},
        {"flags": 0x2800},
        {"flags": 0},
        {"crc": 0},
        {"packed": 0},
        {"unpacked": 0},
        {"crc": 8},
        {"packed": 6},
        {"unpacked": 7},
    ],
)
def test_a_local_header_that_differs_is_refused(changes: dict[str, int | bytes]) -> None:
    with pytest.raises(InvalidInput, match="differs between"):
        zip_records.check_local(local(**changes), ENTRY)


def test_a_described_entry_may_leave_sums_out_and_not_lie_about_them() -> None:
    described = dataclasses.replace(ENTRY, flags=0x808)
    assert described.described
    assert not ENTRY.described
    with pytest.raises(InvalidInput, match="differs between"):
        zip_records.check_local(local(flags=0x808, crc=8), described)


def test_a_descriptor_says_what_the_directory_says_with_or_without_its_mark() -> None:
    for mark in (b"", b"PK\7\x08"):
        for form in ("<3L", "<L2Q"):
            zip_records.check_descriptor(mark + struct.pack(form, 7, 5, 6), ENTRY)
            for sums in ((8, 5, 6), (7, 4, 6), (7, 5, 7), (7, 6, 5)):
                with pytest.raises(InvalidInput, match="something hidden"):
                    zip_records.check_descriptor(mark + struct.pack(form, *sums), ENTRY)
    large = dataclasses.replace(ENTRY, packed=2**32, unpacked=2**33)
    zip_records.check_descriptor(struct.pack("<L2Q", 7, 2**32, 2**33), large)
    with pytest.raises(InvalidInput, match="something hidden"):
        zip_records.check_descriptor(struct.pack("<3L", 7, 0, 0), large)


def directory(name: str = "a", **fields: object) -> Entry:
    (raw,) = ZipBuilder().add(name, fields.pop("data", ONNX), **fields).directory  # type: ignore[arg-type]
    (entry,) = zip_records.parse_directory(raw, 1, "a.zip")
    return entry


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [
        ("a", 0o100644, FILE),
        ("a", 0, FILE),
        ("a/", 0, FOLDER),
        ("a/", 0o100644, FOLDER),
        ("a/", 0o40755, FOLDER),
        ("a", 0o120777, "a symbolic link"),
        ("a", 0o60000, "a block device"),
        ("a", 0o30000, "of a kind that is not known"),
    ],
)
def test_kinds_are_told_by_name_and_mode(name: str, mode: int, kind: str) -> None:
    assert directory(name, mode=mode, data=b"").kind == kind


@pytest.mark.parametrize(
    ("name", "mode", "told"),
    [
        ("a/", 0, "folder with content"),
        ("a/", 0o100644, "folder with content"),
        ("a/", 0o40755, "both a file and a folder"),
    ],
)
def test_a_folder_has_no_content(name: str, mode: int, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        directory(name, mode=mode)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"flags": 0x801}, "is encrypted"),
        ({"flags": 0x840}, "is encrypted"),
        ({"flags": 0x2800}, "is encrypted"),
        ({"flags": 0x820}, "packed in a way"),
        ({"method": 12}, "packed in a way"),
    ],
)
def test_what_is_packed_in_other_ways_is_refused(fields: dict[str, int], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        directory(**fields)


def test_names_are_text_of_one_of_two_kinds() -> None:
    assert directory("ü").name == "ü"
    assert directory("ü", flags=0).name == "├╝"
    assert (directory("ü").raw_name, directory("ü").flags) == ("ü".encode(), 0x800)


def extra(number: int, data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<HH", number, len(data) if size is None else size) + data


def test_extra_fields_are_read_to_their_end() -> None:
    same = extra(0x7075, b"\1" + bytes(4) + b"a")
    assert directory(extra=same).name == "a"
    assert directory(extra=extra(0x9999, b"x") + extra(0x9999, b"") + same + b"\0\0\0").name == "a"
    with pytest.raises(InvalidInput, match="two different names"):
        directory(extra=extra(0x9999, b"x") + extra(0x7075, b"\1" + bytes(4) + b"b"))


@pytest.mark.parametrize(
    "data",
    [extra(0x9999, b"", 1), extra(0x9999, b"xyz", 4), extra(1, bytes(8)) * 2, extra(0x7075, bytes(5) + b"a") * 2],
)
def test_extra_fields_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="damaged directory"):
        directory(extra=data)


def test_large_numbers_come_from_the_extra_field_in_their_order() -> None:
    first, second, third = (struct.pack("<Q", 2**40 + at) for at in range(3))
    entry = directory(unpacked=FULL32, extra=extra(1, first))
    assert (entry.unpacked, entry.offset) == (2**40, 0)
    entry = directory(unpacked=FULL32, offset=FULL32, extra=extra(1, first + second))
    assert (entry.unpacked, entry.packed < FULL32, entry.offset) == (2**40, True, 2**40 + 1)
    raw = bytearray(ZipBuilder().add("a", ONNX, extra=extra(1, first + second + third)).directory[0])
    raw[20:28], raw[42:46] = b"\xff" * 8, b"\xff" * 4
    (entry,) = zip_records.parse_directory(bytes(raw), 1, "a.zip")
    assert (entry.unpacked, entry.packed, entry.offset) == (2**40, 2**40 + 1, 2**40 + 2)
    for short in (b"", extra(1, bytes(7))):
        with pytest.raises(InvalidInput, match="damaged directory"):
            directory(unpacked=FULL32, extra=short)


def test_a_directory_has_its_entries_and_nothing_else() -> None:
    assert [entry.name for entry in zip_records.parse_directory(GOOD, 2, "a.zip")] == ["a.onnx", "b/"]
    first = zip_records.parse_directory(GOOD, 2, "a.zip")[0]
    assert (first.crc, first.unpacked, first.method, first.offset) == (zlib.crc32(ONNX), len(ONNX), 8, 0)
    assert zip_records.parse_directory(b"", 0, "a.zip") == []
    for data, entries, told in (
        (GOOD, 1, "something behind its directory"),
        (GOOD, 3, "damaged directory"),
        (GOOD[:-1], 2, "damaged directory"),
        (GOOD + b"x", 2, "something behind its directory"),
        (b"PK\1\3" + GOOD[4:], 2, "damaged directory"),
    ):
        with pytest.raises(InvalidInput, match=told):
            zip_records.parse_directory(data, entries, "a.zip")


def test_a_comment_of_an_entry_is_passed_over() -> None:
    raw = bytearray(ZipBuilder().add("a", ONNX, extra=extra(0x9999, b"xy")).directory[0])
    raw[32:34] = (5).to_bytes(2, "little")
    (entry, other) = zip_records.parse_directory(bytes(raw) + b"PK..." + GOOD[:52], 2, "a.zip")
    assert (entry.name, other.name) == ("a", "a.onnx")
