from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.control.security.backoff import Backoff
from shoal.core.clock import ManualClock


def test_waits_grow_and_end() -> None:
    clock = ManualClock()
    backoff = Backoff(clock, free=2, base=1.0, longest=4.0)
    waits = []
    for _ in range(8):
        while (left := backoff.failed("a")) == 0.0:
            pass
        waits.append(left)
        clock.advance(left)
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


def test_a_failure_while_waiting_makes_the_wait_no_longer() -> None:
    clock = ManualClock()
    backoff = Backoff(clock, free=0, base=10.0)
    backoff.failed("a")
    assert [backoff.failed("a") for _ in range(100)] == [10.0] * 100


def test_each_name_counts_and_the_longest_wait_is_told() -> None:
    clock = ManualClock()
    backoff = Backoff(clock, free=1, base=8.0)
    assert backoff.failed("from a", "key k") == 0
    assert backoff.failed("from b", "key k") == 0
    assert backoff.failed("from c", "key k") == 8.0
    assert backoff.failed("from c") == 0


def test_who_has_not_failed_for_long_is_as_good_as_new() -> None:
    clock = ManualClock()
    backoff = Backoff(clock, free=1, forget=100.0)
    backoff.failed("a")
    clock.advance(101)
    assert [backoff.failed("a"), backoff.failed("a")] == [0.0, 0.0]
    assert backoff.failed("a") > 0


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 8))
def test_memory_is_bounded(names: list[int], entries: int) -> None:
    backoff = Backoff(ManualClock(), entries=entries)
    for name in names:
        backoff.failed(str(name))
    assert len(backoff) <= entries
