"""What is hedged, when, and whose outcome counts."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelError,
    NotFound,
    NotReady,
    Overloaded,
    PoisonInput,
    ShoalError,
    Unavailable,
)
from shoal.serving.hop.policy.hedging import PASSING, Line, ends, may_hedge, outcome
from shoal.serving.hop.policy.retries import ELSEWHERE


@given(st.booleans(), st.integers(0, 3), st.floats(-1, 10))
def test_only_what_may_run_twice_was_sent_once_and_has_time_is_hedged(pure: bool, sent: int, left: float) -> None:
    assert may_hedge(pure=pure, sent=sent, seconds_left=left) == (pure and sent == 1 and left > 0)


@pytest.mark.parametrize("kind", [InvalidInput, PoisonInput, ModelError])
def test_what_is_wrong_with_the_request_is_final(kind: type[ShoalError]) -> None:
    assert ends(kind("no"))
    assert outcome(Unavailable("gone"), kind("no")).code == kind.code


@pytest.mark.parametrize("kind", [DeadlineExceeded, Overloaded, NotReady, Unavailable, NotFound])
def test_what_is_wrong_with_a_proxy_is_not(kind: type[ShoalError]) -> None:
    assert not ends(kind("no"))
    assert outcome(Overloaded("full"), kind("no")).code == "overloaded"
    assert outcome(None, kind("no")).code == kind.code
    assert ELSEWHERE < PASSING


_STEP = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([0.01, 0.05, 1.0])),
    st.tuples(st.just("discard"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.floats(0, 0.5)),
)


@given(st.lists(_STEP, max_size=60))
def test_each_request_takes_long_once_in_the_order_of_time_unless_it_has_ended(steps: list[tuple[str, float]]) -> None:
    """Against a list of all that are in flight."""
    line: Line[int] = Line()
    now, there = 0.0, dict[int, tuple[float, float]]()
    for number, (what, value) in enumerate(steps):
        if what == "add":
            assert line.add(number, value, now) == now + value
            there[number] = now + value, value
        elif what == "discard":
            if int(value) in there:
                line.discard(int(value), there.pop(int(value))[1])
        else:
            now += value
            due = line.due(now)
            assert sorted(due) == sorted(each for each, (when, _) in there.items() if when <= now)
            assert [there[each][0] for each in due] == sorted(there[each][0] for each in due)
            for each in due:
                del there[each]
        assert line.next == min((when for when, _ in there.values()), default=inf)
