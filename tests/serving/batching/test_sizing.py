"""The size of a batch finds its place: simulated models of many costs."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.batching.sizing import LADDER, AutoSize


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
