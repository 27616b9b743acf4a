"""Packed streams: what was packed comes out, in parts of any size; what is not whole does not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake.members import Budget, Ratio
from shoal.control.artifacts.intake.streams import CHUNK, DECODERS, Packed, Plain
from shoal.core.errors import InvalidInput, TooLarge

BUDGET = Budget()
PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def unpacked(kind: str, packed: bytes, size: int = 1000, budget: Budget = BUDGET) -> bytes:
    stream = Packed(io.BytesIO(packed), DECODERS[kind], Ratio(budget, "a"), "a")
    return b"".join(iter(lambda: stream.read(size), b""))


@given(
    st.sampled_from(sorted(PACKERS)), st.lists(st.binary(max_size=3_000), min_size=1, max_size=3), st.integers(1, 2_000)
)
def test_what_was_packed_comes_out(kind: str, parts: list[bytes], size: int) -> None:
    packed = b"".join(PACKERS[kind](part) for part in parts)
    assert unpacked(kind, packed, size) == b"".join(parts)


@given(st.sampled_from(sorted(PACKERS)), st.binary(min_size=1, max_size=3_000), st.data())
def test_what_is_cut_does_not(kind: str, content: bytes, data: st.DataObject) -> None:
    packed = PACKERS[kind](content)
    with pytest.raises(InvalidInput):
        unpacked(kind, packed[: data.draw(st.integers(0, len(packed) - 1))])


@pytest.mark.parametrize("kind", sorted(PACKERS))
@pytest.mark.parametrize("ratio", [1, 10, 100])
def test_what_comes_out_is_bounded_by_what_goes_in(kind: str, ratio: int) -> None:
    budget = Budget(ratio=ratio, ratio_free_bytes=10_000)
    packed = PACKERS[kind](bytes(10_000_000))
    with pytest.raises(TooLarge, match=f"more than {ratio} times"):
        unpacked(kind, packed, budget=budget)
    assert len(unpacked(kind, PACKERS[kind](bytes(9_999)), budget=budget)) == 9_999


def test_a_stream_of_zlib_is_no_gzip() -> None:
    with pytest.raises(InvalidInput, match="is damaged"):
        unpacked("gzip", zlib.compress(b"x"))


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_never_more_comes_out_at_once_than_is_asked_for(kind: str) -> None:
    content = bytes(3 * CHUNK)
    stream = Packed(io.BytesIO(PACKERS[kind](content)), DECODERS[kind], Ratio(Budget(ratio=10**6), "a"), "a")
    sizes = [len(stream.read(size)) for size in (1, 1000, 10 * CHUNK)]
    assert sizes[:2] == [1, 1000]
    assert 1000 < sizes[2] <= CHUNK


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_what_goes_in_is_counted(kind: str) -> None:
    content = bytes(range(256)) * 2
    budget = Budget(ratio=3, ratio_free_bytes=0)
    assert unpacked(kind, PACKERS[kind](content), budget=budget) == content


def test_what_is_not_packed_comes_in_parts_as_well() -> None:
    stream = Plain(io.BytesIO(bytes(CHUNK + 1)))
    assert [len(stream.read(size)) for size in (0, 10, 10 * CHUNK, 10)] == [0, 10, CHUNK - 9, 0]
    assert len(Plain(io.BytesIO(bytes(CHUNK + 1))).read(10 * CHUNK)) == CHUNK
