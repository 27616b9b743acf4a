from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.summary import Rounds, Row, Sample, Side, Spread, Target, compare


def sample(rate: float) -> Sample:
    return Sample(rate, p50=1.0, p95=2.0, p99=3.0, requests=100, cpu_per_1000=0.5)


def test_ratios_are_taken_between_neighbours_in_time() -> None:
    ours = Rounds("shoal", [sample(100), sample(50), sample(200)])
    theirs = Rounds("other", [sample(10), sample(5), sample(40)])
    row = compare(1, "iris", ours, theirs, Target(9))
    assert row.ratio == Spread(10, 5, 10)
    assert row.ours is not None
    assert row.ours.value == Spread(100, 50, 200)
    assert row.met


def test_a_comparison_with_rounds_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare(1, "iris", Rounds("a", [sample(1), sample(1)]), Rounds("b", [sample(1)]))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_target_is_met_on_its_own_side(bound: float, value: float) -> None:
    assert Target(bound).met(value) == (value >= bound)
    assert Target(bound, at_least=False).met(value) == (value <= bound)
    assert Target(bound).met(bound)


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_a_spread_holds_its_median(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.least <= spread.median <= spread.greatest


def test_without_a_ratio_the_own_value_is_judged() -> None:
    own = Side("shoal", Spread(1.5, 1.0, 2.0))
    assert Row(6, "start", "s", own, target=Target(2.0, at_least=False)).met
    assert not Row(6, "start", "s", own, target=Target(1.2, at_least=False)).met


def test_a_row_without_a_target_is_not_judged() -> None:
    assert Row(1, "iris", "requests/s").met is None


def test_a_failed_row_has_not_met_its_target() -> None:
    assert Row(1, "iris", "requests/s", target=Target(15), failure="did not start").met is False
