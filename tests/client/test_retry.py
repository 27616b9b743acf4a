"""When a failed call is tried again."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.client.retry import Failure, Retries, RetryBudget

RETRIES = Retries(attempts=2, base_seconds=0.1, max_seconds=1.0)


@pytest.mark.parametrize(
    ("failure", "pure", "allowed"),
    [
        (Failure.UNSENT, True, True),
        (Failure.UNSENT, False, True),
        (Failure.LOST, True, True),
        (Failure.LOST, False, False),
        (Failure.SHED, True, True),
        (Failure.SHED, False, False),
        (Failure.FINAL, True, False),
    ],
)
def test_only_what_cannot_have_run_twice_is_tried_again(failure: Failure, pure: bool, allowed: bool) -> None:
    assert RETRIES.allows(failure, attempt=0, pure=pure) is allowed


def test_attempts_end() -> None:
    assert [RETRIES.allows(Failure.UNSENT, attempt=number, pure=True) for number in range(4)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_server_that_asks_for_a_long_pause_gets_no_retry() -> None:
    assert RETRIES.wait(0, 1.5, Random(1)) is None


@given(st.integers(0, 100), st.none() | st.floats(0, 1), st.integers())
def test_waits_are_bounded_and_never_shorter_than_the_server_asks(attempt: int, after: float | None, seed: int) -> None:
    wait = RETRIES.wait(attempt, after, Random(seed))
    assert wait is not None
    assert (after or 0) <= wait <= (after or 0) + RETRIES.max_seconds


@given(st.lists(st.sampled_from(["enter", "leave", "take", "give back"]), max_size=300))
def test_retries_never_exceed_their_share_of_the_calls_in_flight_when_they_begin(steps: list[str]) -> None:
    budget = RetryBudget(RETRIES)
    for step in steps:
        if step == "enter":
            budget.enter()
        elif step == "leave" and budget.in_flight:
            budget.leave()
        elif step == "take":
            before = budget.retrying
            taken = budget.take()
            assert taken == (before < max(3, budget.in_flight // 10))
            assert budget.retrying == before + taken
        elif step == "give back" and budget.retrying:
            budget.give_back()
        assert budget.retrying >= 0
        assert budget.in_flight >= 0


def test_what_ends_makes_room_again() -> None:
    budget = RetryBudget(Retries(budget=1, ratio=0.5))
    assert budget.take()
    assert not budget.take()
    budget.give_back()
    assert (budget.retrying, budget.take()) == (0, True)
    for _ in range(4):
        budget.enter()
    assert (budget.in_flight, budget.limit) == (4, 2)
    budget.leave()
    assert (budget.in_flight, budget.limit) == (3, 1)


def test_pauses_double_up_to_the_longest_and_the_longest_that_a_server_may_ask_for_is_allowed() -> None:
    ceilings = [max(RETRIES.wait(attempt, None, Random(seed)) or 0.0 for seed in range(300)) for attempt in range(5)]
    for ceiling, expected in zip(ceilings, (0.1, 0.2, 0.4, 0.8, 1.0), strict=True):
        assert 0.9 * expected < ceiling <= expected
    assert (RETRIES.wait(0, 1.0, Random(1)) or 0.0) >= 1.0
