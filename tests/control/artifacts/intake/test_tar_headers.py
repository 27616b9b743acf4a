"""Headers of tar archives: any bytes are read in one way, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake.tar_headers import parse, pax_records
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
