"""Back-off of sources that present wrong credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.clock import ManualClock
from shoal.serving.gateway.guard.attempts import FIRST_PAUSE, FORGET, FREE, LAST_PAUSE, attempts, source_of


def test_a_few_failures_are_free_then_pauses_double_up_to_a_bound() -> None:
    clock = ManualClock()
    count = attempts(clock)
    for _ in range(FREE):
        count.failed("a")
        assert count.pause("a") == 0
    pauses = []
    for _ in range(8):
        count.failed("a")
        pauses.append(count.pause("a"))
        clock.advance(pauses[-1])
        assert count.pause("a") == 0
    assert pauses == [1, 2, 4, 8, 16, LAST_PAUSE, LAST_PAUSE, LAST_PAUSE]
    assert count.pause("b") == 0


def test_a_quiet_source_begins_anew() -> None:
    clock = ManualClock()
    count = attempts(clock)
    for _ in range(FREE + 5):
        count.failed("a")
    clock.advance(FORGET + 1)
    count.failed("a")
    assert count.pause("a") == 0


@given(st.lists(st.integers(0, 40), max_size=300), st.integers(1, 20))
def test_memory_is_bounded_and_pauses_too(sources: list[int], kept: int) -> None:
    count = attempts(ManualClock(), kept)
    for source in sources:
        count.failed(str(source))
        assert len(count) <= kept
        assert 0 <= count.pause(str(source)) <= LAST_PAUSE


def test_ten_thousand_failures_do_not_overflow() -> None:
    count = attempts(ManualClock())
    for _ in range(10_000):
        count.failed("a")
    assert FIRST_PAUSE <= count.pause("a") <= LAST_PAUSE


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somebody", "somebody"),
    ],
)
def test_what_counts_as_one_source(address: str, source: str) -> None:
    assert source_of(address) == source
