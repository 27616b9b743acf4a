"""Packed streams: what was packed comes out, in parts of any size; what is not whole does not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake.members import Budget, Ratio
from shoal.control.artifacts.intake.streams import DECODERS, Packed
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
