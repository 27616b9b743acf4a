"""Headers of tar archives: any bytes are read in one way, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake.members import FILE, FOLDER
from shoal.control.artifacts.intake.tar_headers import Header, is_sparse, parse, pax_records
from shoal.core.errors import InvalidInput
from support.hostile_archives import TarBuilder, pax_record


@given(st.binary(min_size=512, max_size=512))
def test_any_block_is_a_header_or_refused(block: bytes) -> None:
    fixed = block[:148] + b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256) + block[156:]
    for each in (block, fixed):
        try:
            header = parse(each)
        except InvalidInput:
            continue
        assert header.size >= 0


@given(st.integers(0, 8**11 - 1), st.integers(8**11, 2**80))
def test_sizes_of_all_forms_are_read(small: int, large: int) -> None:
    for size, field in (
        (small, b"%011o\0" % small),
        (small, b"%011o " % small),
        (large, b"\x80" + large.to_bytes(11, "big")),
    ):
        assert parse(TarBuilder().add("a", size=field).cut()[:512]).size == size


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="="), min_size=1, max_size=20)


@given(st.dictionaries(WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=150), max_size=4))
def test_records_come_back(records: dict[str, str]) -> None:
    assert pax_records(b"".join(pax_record(key, value) for key, value in records.items())) == records


@given(st.binary(max_size=60))
def test_any_records_are_read_or_refused(data: bytes) -> None:
    try:
        pax_records(data)
    except InvalidInput:
        return


@pytest.mark.parametrize("data", [b"5 a=b\n", b"0 a=b\n", b"06 a=b\n", b"6 a=b", b"6 abcd\n", b"-6 a=b\n", b"6\ta=b\n"])
def test_records_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        pax_records(data)


def block(name: str = "a", **fields: bytes) -> bytes:
    return TarBuilder().add(name, **fields).cut()[:512]  # type: ignore[arg-type]


def test_a_checksum_is_of_all_bytes_but_its_own() -> None:
    good = block()
    assert parse(good).name == "a"
    for at in [*range(148), *range(156, 512)]:
        broken = bytearray(good)
        broken[at] ^= 0x10
        with pytest.raises(InvalidInput, match="damaged header"):
            parse(bytes(broken))


@pytest.mark.parametrize(
    ("kind", "name", "described"),
    [
        (b"0", "a", FILE),
        (b"\0", "a", FILE),
        (b"\0", "a/", FOLDER),
        (b"0", "a/", FILE),
        (b"7", "a", FILE),
        (b"5", "a", FOLDER),
        (b"1", "a", "a hard link"),
        (b"2", "a/", "a symbolic link"),
        (b"6", "a", "a pipe"),
        (b"Z", "a", "of a kind that is not known"),
    ],
)
def test_kinds_are_told_in_words(kind: bytes, name: str, described: str) -> None:
    assert Header(name, 0, kind).described == described


def test_a_prefix_counts_where_the_format_has_one() -> None:
    assert parse(block(prefix=b"dir/sub")).name == "dir/sub/a"
    assert parse(block(prefix=b"p")).name == "p/a"
    assert parse(block(prefix=b"p" * 155)).name == "p" * 155 + "/a"
    assert parse(block()).name == "a"
    for magic in (b"ustar  \0", bytes(8)):
        assert parse(block(prefix=b"dir", magic=magic)).name == "a"


def test_a_name_ends_at_its_first_nothing_or_after_a_hundred_bytes() -> None:
    assert parse(block("n" * 100)).name == "n" * 100
    assert parse(block("a\0b")).name == "a"


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000017\0", 15),
        (b"         17 ", 15),
        (b"777777777777", 8**12 - 1),
        (bytes(12), 0),
        (b" " * 12, 0),
        (b"\x80" + bytes(10) + b"\x07", 7),
    ],
)
def test_sizes_are_octal_or_large_or_nothing(field: bytes, size: int) -> None:
    assert parse(block(size=field)).size == size


@pytest.mark.parametrize(
    "field", [b"8" * 12, b"12 34      \0", b"-7         \0", b"\x81" + bytes(11), b"\xff" * 12, b"7\0" * 6]
)
def test_other_sizes_are_none(field: bytes) -> None:
    with pytest.raises(InvalidInput, match="size that is no number"):
        parse(block(size=field))


@pytest.mark.parametrize("data", [b"5 a=\n", b"7 a=b=\n", pax_record("path", "x" * 90), pax_record("a", "")])
def test_records_may_be_empty_and_hold_what_divides_others(data: bytes) -> None:
    ((name, value),) = pax_records(data).items()
    assert data.endswith(f" {name}={value}\n".encode())


def test_what_has_holes_is_known_by_its_records() -> None:
    assert is_sparse({"GNU.sparse.major": "1"})
    assert is_sparse({"path": "a", "SCHILY.realsize": "1"})
    assert not is_sparse({"path": "GNU.sparse.", "comment": "x"})
    assert not is_sparse({})
