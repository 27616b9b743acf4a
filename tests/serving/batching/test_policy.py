from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.model import Batching
from shoal.serving.batching.policy import MARGIN, seconds_to_close
from shoal.serving.batching.waiting.queue import CallQueue
from support.calls import RecordedCall


@given(
    st.sampled_from(["adaptive", "fixed"]), st.integers(0, 12), st.integers(0, 4), st.integers(1, 8), st.floats(0, 0.1)
)
def test_a_batch_leaves_never_without_room_and_never_later_than_the_longest_wait(
    policy: str, rows: int, free: int, size: int, waited: float
) -> None:
    queue = CallQueue()
    for number in range(rows):
        queue.append(RecordedCall(number, arrived=0.0))
    settings = Batching(policy=policy, max_wait_ms=20)  # type: ignore[arg-type]
    wait = seconds_to_close(settings, queue, free=free, ahead=0, size=size, expected=0.0, now=waited)
    if not rows or not free:
        assert wait == inf
    elif policy == "adaptive" or rows >= size or waited >= 0.020:
        assert wait == 0
    else:
        assert abs(waited + wait - 0.020) < 1e-9


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 40))
def test_behind_a_running_batch_only_one_that_is_as_large_or_full_is_sent(rows: int, ahead: int, size: int) -> None:
    queue = CallQueue()
    for number in range(rows):
        queue.append(RecordedCall(number, arrived=0.0))
    wait = seconds_to_close(Batching(), queue, free=1, ahead=ahead, size=size, expected=0.0, now=9.0)
    assert wait == (0 if rows >= size or rows >= ahead else inf)


@pytest.mark.parametrize(("expected", "left"), [(0.0, MARGIN), (0.030, 0.030)])
def test_a_part_of_a_batch_leaves_in_time_for_the_tightest_deadline(expected: float, left: float) -> None:
    queue = CallQueue()
    for timeout in (60.0, 0.1, 1.0):
        queue.append(RecordedCall(arrived=0.0, timeout=timeout))
    settings = Batching(policy="fixed", max_wait_ms=1000)
    wait = seconds_to_close(settings, queue, free=1, ahead=0, size=4, expected=expected, now=0.02)
    assert wait == pytest.approx(0.1 - left - 0.02)
    assert seconds_to_close(settings, queue, free=1, ahead=0, size=4, expected=expected, now=0.5) == 0


def test_a_part_of_a_batch_waits_from_its_first_request() -> None:
    queue = CallQueue()
    for arrived in (1.0, 1.5):
        queue.append(RecordedCall(arrived=arrived))
    settings = Batching(policy="fixed", max_wait_ms=2000)
    assert seconds_to_close(settings, queue, free=1, ahead=0, size=4, expected=0.0, now=1.5) == pytest.approx(1.5)


@pytest.mark.parametrize(("level", "ahead", "leaves"), [(1, 4, True), (2, 4, False), (3, 4, False), (2, 0, True)])
def test_what_nobody_waits_for_is_not_sent_behind_a_batch(level: int, ahead: int, leaves: bool) -> None:
    queue = CallQueue()
    for _ in range(4):
        queue.append(RecordedCall(arrived=0.0, level=level))
    wait = seconds_to_close(Batching(), queue, free=1, ahead=ahead, size=64, expected=0.0, now=9.0)
    assert wait == (0 if leaves else inf)
