"""The size of a batch finds its place: simulated models of many costs."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.batching.sizing import FORGET, GAIN, LADDER, SAMPLES, AutoSize, FixedSize, Rung


def saturate(size: AutoSize, cost: Callable[[int], float], batches: int, noise: float = 0.0, seed: int = 1) -> None:
    chance = random.Random(seed)
    for _ in range(batches):
        size.observe(size.rows, cost(size.rows) * (1 + noise * chance.uniform(-1, 1)), full=True)


def test_it_starts_at_four() -> None:
    assert AutoSize().rows == 4


@given(st.floats(0.0001, 0.1), st.floats(0.0, 0.05))
def test_it_reaches_the_top_in_some_tens_of_batches_when_larger_is_cheaper(fixed: float, share: float) -> None:
    size = AutoSize()
    saturate(size, lambda rows: fixed + share * fixed * rows, 40)
    assert size.rows == 64


def test_noise_does_not_keep_it_down() -> None:
    for seed in range(20):
        size = AutoSize()
        saturate(size, lambda rows: 0.001 + 0.00002 * rows, 60, noise=0.15, seed=seed)
        assert size.rows >= 32


def test_it_comes_back_when_larger_batches_cost_more_per_row() -> None:
    size = AutoSize()
    saturate(size, lambda rows: 0.001 + 0.0001 * rows**2, 60)
    assert size.rows <= 4


def test_it_comes_back_when_the_model_changes() -> None:
    size = AutoSize()
    saturate(size, lambda rows: 0.01 + 0.0001 * rows, 40)
    assert size.rows == 64
    saturate(size, lambda rows: 0.001 * rows**2, 100)
    assert size.rows <= 8


@pytest.mark.parametrize(("target", "rows"), [(0.030, 8), (0.050, 16), (0.100, 64), (0.001, 1)])
def test_it_keeps_batches_under_the_target(target: float, rows: int) -> None:
    size = AutoSize(target)
    saturate(size, lambda rows: 0.020 + 0.001 * rows, 150)
    assert size.rows == rows


def test_it_does_not_grow_while_batches_are_not_full() -> None:
    size = AutoSize()
    for _ in range(100):
        size.observe(4, 0.01, full=False)
    assert size.rows == 4


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 10), st.booleans()), max_size=200))
def test_it_stays_on_its_ladder_whatever_it_sees(batches: list[tuple[int, float, bool]]) -> None:
    size = AutoSize(0.5)
    for rows, seconds, full in batches:
        size.observe(rows, seconds, full=full)
        assert size.rows in LADDER


def test_a_rung_is_known_after_some_batches_of_which_the_first_does_not_count() -> None:
    rung = Rung()
    assert SAMPLES == 3
    for seen, (seconds, mean) in enumerate([(100.0, 100.0), (4.0, 4.0), (5.0, 4.3), (4.3, 4.3)]):
        assert (rung.count, rung.known) == (seen, False)
        rung.observe(2, seconds)
        assert rung.batch_seconds == pytest.approx(mean)
        assert rung.row_seconds == pytest.approx(mean / 2)
    assert rung.known


@pytest.mark.parametrize("share", [GAIN - 0.01, GAIN])
def test_a_rung_that_is_hardly_cheaper_is_left_again(share: float) -> None:
    size = AutoSize()
    saturate(size, lambda rows: rows * (1.0 if rows <= 4 else share), 6 + SAMPLES)
    assert (size.rows > 4) == (share < GAIN)


def test_batches_count_for_the_rung_that_they_fit_on() -> None:
    size = AutoSize()
    for rows in (1, 2, 3, 4, 5, 8, 33, 64, 0, -1, 65):
        size.observe(rows, 1.0, full=False)
    assert [rung.count for rung in size._rungs] == [1, 1, 2, 2, 0, 0, 2]


def test_larger_sizes_are_tried_again_after_a_while() -> None:
    """At 4 rows with 8 being dearer: each time that is forgotten, 8 is tried once more, and left."""
    size, tried = AutoSize(), []
    for batch in range(5 * FORGET):
        if size.rows == 8 and (not tried or batch - tried[-1] > SAMPLES + 1):
            tried.append(batch)
        saturate(size, lambda rows: rows * (1.0 if rows <= 4 else 1.5), 1)
    assert size.rows in (4, 8)
    assert tried[0] == SAMPLES + 1
    assert tried[1] - tried[0] == FORGET + SAMPLES - 1
    gaps = [later - earlier for earlier, later in pairwise(tried[1:])]
    assert gaps
    assert set(gaps) == {FORGET + SAMPLES}


def test_what_is_forgotten_is_what_was_learnt_above() -> None:
    size = AutoSize()
    saturate(size, lambda rows: 0.01 + 0.0001 * rows, 40)
    assert size.rows == 64
    size._at, size._since_forgot = 3, FORGET - 1
    size.observe(8, 0.0108, full=False)
    assert [rung.count > 0 for rung in size._rungs] == [False, False, True, True, False, False, False]


def test_it_goes_below_its_start_and_not_below_one() -> None:
    size = AutoSize(target=0.5)
    saturate(size, lambda rows: float(rows), 100)
    assert size.rows == 1


def test_it_does_not_climb_to_what_is_known_to_take_too_long() -> None:
    size = AutoSize(target=0.030)
    saturate(size, lambda rows: 0.020 + 0.001 * rows, 30)
    assert [size.rows for _ in range(50) if saturate(size, lambda rows: 0.020 + 0.001 * rows, 1) is None] == [8] * 50


def test_a_fixed_size_learns_nothing() -> None:
    size = FixedSize(7)
    size.observe(7, 100.0, full=True)
    assert size.rows == 7


def test_at_one_row_it_is_compared_with_nothing_smaller() -> None:
    size = AutoSize()
    for _ in range(SAMPLES + 1):
        size.observe(64, 64.0, full=True)
    size._at = 0
    saturate(size, lambda rows: 2.0 * rows, SAMPLES + 1)
    assert size.rows == 2


def test_it_goes_back_up_to_a_size_that_is_known_to_pay() -> None:
    size = AutoSize()
    saturate(size, lambda rows: 0.01 + 0.0001 * rows, 40)
    assert size.rows == 64
    size._at = 2
    saturate(size, lambda rows: 0.01 + 0.0001 * rows, 1)
    assert size.rows == 8


def test_a_batch_may_take_as_long_as_the_target() -> None:
    size = AutoSize(target=4.0)
    saturate(size, lambda rows: float(rows), 50)
    assert size.rows == 4
