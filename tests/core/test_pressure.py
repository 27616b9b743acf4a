"""Stages of memory pressure in virtual time: up at once, down by themselves, and never to and fro about a bound."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.pressure import BOUNDS, CALM_SECONDS, SLACK, Pressure, Stage

LOOK = 0.25


def stages(used: list[float]) -> list[Stage]:
    pressure = Pressure()
    return [pressure.observe(each, LOOK * number) for number, each in enumerate(used)]


def changes(seen: list[Stage]) -> int:
    return sum(one is not other for one, other in itertools.pairwise(seen))


def test_each_bound_is_a_stage_and_up_it_goes_at_once() -> None:
    assert stages([0.1, 0.7, 0.84, 0.85, 0.95, 1.2]) == [0, 1, 1, 2, 3, 3]
    assert stages([0.1, 2.0])[-1] is Stage.CRITICAL


def test_when_the_trigger_has_gone_it_is_calm_within_ten_seconds_without_an_operator() -> None:
    seen = stages([1.0] * 40 + [0.3] * int(10 / LOOK))
    assert seen[39] is Stage.CRITICAL
    assert seen[-1] is Stage.CALM
    assert changes(seen[39:]) == 3


@given(st.sampled_from(BOUNDS), st.lists(st.floats(-SLACK + 0.001, SLACK - 0.001), min_size=2, max_size=200))
def test_a_use_that_moves_about_a_bound_changes_the_stage_once_at_most(bound: float, moves: list[float]) -> None:
    seen = stages([min(bound + move, 2.0) for move in moves])
    after = [stage for stage in seen if stage is not seen[0]]
    assert after == sorted(after)


@given(st.lists(st.floats(0, 1.5), min_size=1, max_size=300))
def test_a_stage_is_never_below_what_the_use_asks_for_and_ends_only_after_calm(used: list[float]) -> None:
    seen = stages(used)
    quiet = round(CALM_SECONDS / LOOK)
    for at, stage in enumerate(seen):
        assert stage >= sum(used[at] >= bound for bound in BOUNDS)
        if at and stage < seen[at - 1]:
            assert stage == seen[at - 1] - 1
            assert all(each < BOUNDS[stage] - SLACK for each in used[at - quiet : at + 1])
