from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.hop.policy.retries import ELSEWHERE, FLOOR, Budget, may_retry


@given(st.booleans(), st.booleans(), st.booleans(), st.floats(-1, 10))
def test_what_could_do_harm_or_comes_too_late_is_not_tried_again(
    executed: bool, pure: bool, retried: bool, left: float
) -> None:
    may = may_retry(executed=executed, pure=pure, retried=retried, seconds_left=left)
    assert may == (not retried and left > 0 and not (executed and not pure))


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=200))
def test_retries_under_way_are_never_more_than_their_share(steps: list[int | None]) -> None:
    """None: one ends; a number: one is asked for while so many requests are in flight."""
    budget, under_way = Budget(), 0
    for in_flight in steps:
        if in_flight is None:
            if under_way:
                budget.give_back()
                under_way -= 1
            continue
        most = max(3, in_flight // 10)
        taken = budget.take(in_flight)
        assert taken == (under_way < most)
        under_way += taken
        assert budget.under_way == under_way


def test_a_few_are_always_allowed() -> None:
    budget = Budget()
    assert [budget.take(1) for _ in range(FLOOR + 1)] == [True] * FLOOR + [False]
    assert budget.most(29) == 3
    assert budget.most(40) == 4


def test_overload_is_never_a_reason_to_try_again() -> None:
    assert "overloaded" not in ELSEWHERE
    assert "deadline_exceeded" not in ELSEWHERE
    assert {"unavailable", "not_ready"} == ELSEWHERE
