from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.model import Batching
from shoal.serving.batching.policy import seconds_to_close
from shoal.serving.batching.queue import CallQueue
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
