"""Records of zip archives: any bytes are read in one way, or refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake import zip_records
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
