"""Percentiles of a histogram of fixed size."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from shoal.client.histogram import Histogram

SECONDS = st.lists(st.floats(0, 1000), min_size=1, max_size=200)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(SECONDS, st.sampled_from([1, 50, 90, 95, 99, 99.9, 100]))
def test_percentiles_are_within_one_percent_of_the_exact_ones(values: list[float], share: float) -> None:
    exact = sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]
    assert abs(filled(values).percentile(share) - exact) <= exact * 0.01 + 1.1e-6


@given(SECONDS, SECONDS)
def test_merging_is_the_same_as_recording_everything_in_one(first: list[float], second: list[float]) -> None:
    merged = filled(first)
    merged.merge(filled(second))
    both = filled(first + second)
    assert merged.count == both.count
    assert (merged.min, merged.max) == (both.min, both.max)
    assert [merged.percentile(share) for share in (1, 50, 99)] == [both.percentile(share) for share in (1, 50, 99)]


@given(SECONDS)
def test_every_record_is_in_one_bar(values: list[float]) -> None:
    bars = filled(values).bars(12)
    assert sum(count for _, _, count in bars) == len(values)
    assert len(bars) == 12
    assert all(low < high for low, high, _ in bars)


def test_an_empty_histogram_answers_zero() -> None:
    empty = Histogram()
    assert (empty.percentile(99), empty.mean, empty.max, empty.bars()) == (0.0, 0.0, 0.0, [])
