"""Archives of tar, part by part: what extended headers may say, and where an archive ends."""

from __future__ import annotations

import io

import pytest

from shoal.control.artifacts.intake.members import FILE, FOLDER
from shoal.control.artifacts.intake.tars import META_BYTES, read_tar
from shoal.core.errors import InvalidInput
from support.hostile_archives import ONNX, TarBuilder, pax_record


class OneByOne(io.BytesIO):
    """Gives as little as there may be, each time; says how much was asked for."""

    asked = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked = max(self.asked, size)
        return super().read(min(size, 7))


def read(data: bytes) -> list[tuple[str, str, int, bytes]]:
    return [
        (member.name, member.kind, member.size, b"".join(member.chunks()))
        for member in read_tar(OneByOne(data), "a.tar")
    ]


def test_members_are_read_from_any_parts_and_may_be_skipped() -> None:
    sizes = (0, 1, 511, 512, 513, 1024)
    tar = TarBuilder().add("d/", kind=b"5")
    for size in sizes:
        tar.add(f"{size}", b"x" * size)
    found = read(tar.end())
    assert found == [("d/", FOLDER, 0, b""), *((f"{size}", FILE, size, b"x" * size) for size in sizes)]
    assert [member.name for member in read_tar(io.BytesIO(tar.end()), "a.tar")] == [name for name, *_ in found]


def test_a_member_that_is_half_read_is_skipped_to_its_end() -> None:
    data = TarBuilder().add("a", b"x" * 600).add("b", b"y").end()
    names = []
    for member in read_tar(OneByOne(data), "a.tar"):
        next(iter(member.chunks()))
        names.append(member.name)
    assert names == ["a", "b"]


def test_what_extended_headers_say_goes_before_the_header() -> None:
    tar = TarBuilder().pax(path="long name", comment="x").add("short", ONNX)
    tar.add("@", b"gnu name\0", b"L").add("@", b"target\0", b"K").add("short", ONNX)
    tar.pax(b"g", comment="all").pax(size=f"{len(ONNX)}").add("sized", ONNX)
    assert [(name, content) for name, _, _, content in read(tar.end())] == [
        ("long name", ONNX),
        ("gnu name", ONNX),
        ("sized", ONNX),
    ]


def test_a_pax_size_counts_and_not_the_one_of_the_header() -> None:
    tar = TarBuilder().pax(size="3").add("a", b"abc", size=b"%011o\0" % 0)
    assert read(tar.end()) == [("a", FILE, 3, b"abc")]


@pytest.mark.parametrize(
    ("size", "told"),
    [("9" * 18, "cut off"), ("9" * 19, "no number"), ("1x", "no number"), ("\u0663", "no number"), ("", "no number")],
)
def test_a_pax_size_is_a_number_that_is_not_too_long(size: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read(TarBuilder().pax(size=size).add("a", ONNX).end())


@pytest.mark.parametrize("more", [0, 1])
def test_an_extended_header_may_be_as_long_as_its_bound(more: int) -> None:
    assert META_BYTES == 64 * 1024
    record = pax_record("comment", "x" * (META_BYTES - len(pax_record("comment", "")) - 3 + more))
    assert len(record) == META_BYTES + more
    data = TarBuilder().add("pax", record, b"x").add("a", ONNX).end()
    if more:
        with pytest.raises(InvalidInput, match="too long"):
            read(data)
    else:
        assert read(data) == [("a", FILE, len(ONNX), ONNX)]


@pytest.mark.parametrize("key", ["path", "linkpath", "size", "GNU.sparse.map"])
def test_nothing_of_one_member_is_said_of_all(key: str) -> None:
    with pytest.raises(InvalidInput, match="to all its members"):
        read(TarBuilder().add("pax", pax_record(key, "1"), b"g").add("a", ONNX).end())


@pytest.mark.parametrize("first", [b"L", b"x"])
def test_a_name_is_said_once(first: bytes) -> None:
    said = b"b\0" if first == b"L" else pax_record("path", "b")
    with pytest.raises(InvalidInput, match="two names to one member"):
        read(TarBuilder().add("@", said, first).add("@", b"c\0", b"L").add("a", ONNX).end())


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_an_archive_does_not_end_behind_an_extended_header(kind: bytes) -> None:
    said = pax_record("comment", "b") if kind in b"xg" else b"b\0"
    with pytest.raises(InvalidInput, match="is cut off"):
        read(TarBuilder().add("@", said, kind).end())


def test_an_archive_ends_with_two_empty_blocks_and_only_empty_ones_follow() -> None:
    whole = TarBuilder().add("a", ONNX)
    for padding in (0, 1, 512, 10_000, 3_000_000):
        assert [each.name for each in read_tar(io.BytesIO(whole.end() + bytes(padding)), "a.tar")] == ["a"]
    for data, told in (
        (whole.cut() + bytes(512), "is cut off"),
        (whole.cut() + bytes(512) + TarBuilder().add("b").cut(), "ends in its middle"),
        (whole.end() + bytes(2_000_000) + b"x", "followed by something else"),
    ):
        with pytest.raises(InvalidInput, match=told):
            list(read_tar(io.BytesIO(data), "a.tar"))


def test_what_is_no_file_has_no_content_to_give() -> None:
    found = read(TarBuilder().add("link", b"", b"2", b"a").add("a", ONNX).end())
    assert found == [("link", "a symbolic link", 0, b""), ("a", FILE, len(ONNX), ONNX)]
    with pytest.raises(InvalidInput, match="folder with content"):
        read(TarBuilder().pax(size="1").add("d/", b"", b"5").raw(bytes(512)).end())


def test_no_more_is_asked_for_at_once_than_a_member_has() -> None:
    stream = OneByOne(TarBuilder().add("a", b"x" * 100).end())
    for member in read_tar(stream, "a.tar"):
        assert stream.asked <= 512
        assert len(b"".join(member.chunks())) == 100
        assert stream.asked <= 512
