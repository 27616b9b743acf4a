from __future__ import annotations

from dataclasses import dataclass

import pytest

from shoal.core.call import Call
from shoal.core.model import Batching
from shoal.core.pressure import Stage
from shoal.serving.batching.waiting.admission import LONGEST_RETRY, PACE_SAMPLES, SHORTEST_RETRY, Admission
from support.calls import RecordedCall


@dataclass
class Held:
    rows: int = 1
    bytes: int = 1

    def ahead(self, call: Call) -> float:
        return self.rows


def call(timeout: float = 1.0, level: int = 1) -> RecordedCall:
    return RecordedCall(arrived=0.0, timeout=timeout, level=level)


def paced(seconds: float, settings: Batching | None = None) -> Admission:
    admission = Admission(settings or Batching())
    for _ in range(PACE_SAMPLES):
        admission.learn(1, seconds)
    return admission


def test_an_empty_queue_takes_any_call() -> None:
    admission = paced(100.0, Batching(queue_rows=1, queue_bytes=1))
    assert admission.full(Held(0, 0), call()) is None
    assert admission.late(Held(0, 0), call(), 0.0) is None


def test_until_the_pace_is_known_nobody_is_refused_for_it() -> None:
    admission = Admission(Batching())
    admission.learn(1, 100.0)
    assert admission.late(Held(50), call(), 0.0) is None


def test_whose_turn_comes_too_late_is_refused_unless_urgent() -> None:
    admission = paced(0.1)
    refused = admission.late(Held(20), call(timeout=1.0), 0.0)
    assert refused is not None
    assert refused.retry_after == pytest.approx(2.0)
    assert admission.late(Held(20), call(timeout=3.0), 0.0) is None
    assert admission.late(Held(20), call(timeout=1.0, level=0), 0.0) is None


def test_one_slow_batch_does_not_spoil_the_pace() -> None:
    admission = paced(0.01)
    admission.learn(1, 100.0)
    assert admission.row_seconds <= 0.0125


def test_the_pace_of_many_workers_is_faster() -> None:
    alone, four = Admission(Batching()), Admission(Batching(), parallel=4)
    for _ in range(PACE_SAMPLES):
        alone.learn(8, 0.8)
        four.learn(8, 0.8)
    assert alone.row_seconds == pytest.approx(4 * four.row_seconds)


def test_the_queues_own_bound_in_seconds_counts_too() -> None:
    admission = paced(0.1, Batching(queue_seconds=0.5))
    assert admission.late(Held(6), call(timeout=60), 0.0) is not None
    assert admission.late(Held(4), call(timeout=60), 0.0) is None


def test_more_rows_or_bytes_than_may_wait_are_refused() -> None:
    admission = Admission(Batching(queue_rows=10, queue_bytes=100))
    assert admission.full(Held(9, 9), call()) is None
    assert admission.full(Held(10, 9), call()) is not None
    assert admission.full(Held(9, 100), call()) is not None


def test_what_other_models_of_the_worker_have_to_do_first_counts_even_if_nothing_waits_here() -> None:
    admission = Admission(Batching())
    refused = admission.late(Held(0, 0), call(timeout=1.0), 0.0, turn=3.0)
    assert refused is not None
    assert refused.retry_after == pytest.approx(2.0)
    assert admission.late(Held(0, 0), call(timeout=4.0), 0.0, turn=3.0) is None
    assert admission.late(Held(0, 0), call(timeout=1.0, level=0), 0.0, turn=3.0) is None


def test_what_counts_is_the_time_that_is_left() -> None:
    admission = paced(0.1)
    assert admission.late(Held(20), call(timeout=3.0), 0.0) is None
    assert admission.late(Held(20), call(timeout=3.0), 1.5) is not None


def test_each_batch_that_waits_takes_a_turn() -> None:
    admission = paced(0.01)  # a batch of one row in 10 ms
    assert admission.late(Held(20), call(timeout=1.0), 0.0) is None
    assert admission.late(Held(20), call(timeout=1.0), 0.0, turn=0.1) is not None
    assert admission.late(Held(4), call(timeout=1.0), 0.0, turn=0.1) is None


def test_while_memory_is_tight_fewer_bytes_may_wait() -> None:
    admission = Admission(Batching(queue_bytes=1000))
    assert admission.full(Held(1, 300), call(), Stage.WATCHFUL) is None
    assert admission.full(Held(1, 300), call(), Stage.TIGHT) is not None


def test_bounds_may_be_reached() -> None:
    admission = Admission(Batching(queue_rows=10, queue_bytes=1000))
    last, beyond = 999, 1000
    assert admission.full(Held(9, last), call()) is None
    assert admission.full(Held(9, beyond), call()) is not None
    assert admission.full(Held(1, last // 4), call(), Stage.TIGHT) is None
    assert admission.full(Held(1, beyond // 4), call(), Stage.TIGHT) is not None


def test_a_short_queue_need_not_be_looked_at() -> None:
    assert (Admission(Batching()).easy_rows, Admission(Batching()).easy_bytes) == (64, 2**20)
    small = Admission(Batching(queue_rows=70, queue_bytes=2**20 + 5))
    assert (small.easy_rows, small.easy_bytes) == (6, 5)
    small.configure(Batching())
    assert (small.easy_rows, small.easy_bytes) == (64, 2**20)


def test_how_short_follows_the_pace() -> None:
    admission = Admission(Batching())
    for _ in range(PACE_SAMPLES):
        assert admission.easy_rows == 64
        admission.learn(4, 0.002)  # three batches of 2 ms come first: 4 ms of 10 are left, for 8 rows of half a ms
    assert admission.easy_rows == 8
    admission.share(2)
    assert admission.easy_rows == 16
    admission.configure(Batching(queue_rows=70))
    assert admission.easy_rows == 6
    assert paced(0.0).easy_rows == 64
    assert paced(1.0).easy_rows < 0


def test_the_pace_is_shared_by_as_many_workers_as_there_are_now() -> None:
    admission = paced(0.1)
    admission.share(4)
    assert admission.row_seconds == pytest.approx(0.025)
    admission.share(2)
    assert admission.row_seconds == pytest.approx(0.05)
    admission.learn(1, 0.1)
    assert admission.row_seconds == pytest.approx(0.05)


def test_the_pace_is_a_moving_mean_and_unknown_before_eight_batches() -> None:
    admission = Admission(Batching())
    for seen in range(PACE_SAMPLES):
        assert admission.row_seconds == 0, seen
        admission.learn(2, 0.2)
    assert admission.row_seconds == pytest.approx(0.1)
    admission.learn(2, 0.1)
    assert admission.row_seconds == pytest.approx(0.09)
    admission.learn(2, 100.0)  # counts as twice the pace
    assert admission.row_seconds == pytest.approx(0.108)
    admission.learn(0, 0.108)
    assert admission.row_seconds == pytest.approx(0.108)


def test_a_batch_that_was_not_full_teaches_only_that_it_goes_faster() -> None:
    admission = paced(0.1)
    admission.reconsider(1, 0.2)
    assert admission.row_seconds == pytest.approx(0.1)
    admission.reconsider(1, 0.05)
    assert admission.row_seconds == pytest.approx(0.09)
    admission.reconsider(0, 0.09)
    assert admission.row_seconds == pytest.approx(0.09)


def test_a_batch_that_was_not_full_takes_as_long_by_the_row_as_a_full_one() -> None:
    admission = Admission(Batching(), parallel=2)
    for _ in range(PACE_SAMPLES):
        admission.learn(4, 0.8)
    admission.reconsider(2, 0.2)  # 0.1 a row, of two workers 0.05; a full batch would take 0.4
    assert admission.row_seconds == pytest.approx(0.1 + 0.2 * (0.05 - 0.1))
    assert admission.late(Held(1), call(timeout=3 * 0.72 + 0.1), 0.0) is None
    assert admission.late(Held(1), call(timeout=3 * 0.72 + 0.08), 0.0) is not None


def test_a_call_that_would_be_answered_in_its_last_moment_is_let_in() -> None:
    admission = paced(0.125)
    assert admission.late(Held(5), call(timeout=1.0), 0.0) is None
    assert admission.late(Held(6), call(timeout=1.0), 0.0) is not None
    assert admission.late(Held(0), call(timeout=2.0), 0.0, turn=2.0) is None
    assert paced(0.125, Batching(queue_seconds=0.5)).late(Held(4), call(timeout=60.0), 0.0) is None


def test_turns_of_other_models_count_by_the_batch() -> None:
    admission = Admission(Batching())
    for _ in range(PACE_SAMPLES):
        admission.learn(4, 0.004)
    assert admission.late(Held(16), call(timeout=0.52), 0.0, turn=0.1) is None  # 4 turns, and the one before its own
    assert admission.late(Held(20), call(timeout=0.52), 0.0, turn=0.1) is not None


def test_when_to_come_again_is_when_there_may_be_room_and_within_reason() -> None:
    admission = paced(0.1)
    for rows, least, seconds in ((20, 0.0, 2.0), (20, 5.0, 5.0), (0, 0.0, SHORTEST_RETRY), (10**6, 0.0, LONGEST_RETRY)):
        assert admission.overloaded(rows, "why", least=least).retry_after == pytest.approx(seconds)
    assert (SHORTEST_RETRY, LONGEST_RETRY) == (0.1, 60.0)
    refused = admission.late(Held(20), call(timeout=1.0), 0.0, turn=0.5)
    assert refused is not None
    assert refused.retry_after == pytest.approx(20 * 0.5)


def test_who_has_waited_as_long_as_may_be_is_shed() -> None:
    admission = Admission(Batching(queue_seconds=0.5))
    assert admission.waited_too_long(call(), 0.4375) is None
    shed = admission.waited_too_long(call(), 0.5)
    assert shed is not None
    assert shed.retry_after == 1.0
    assert Admission(Batching()).waited_too_long(call(), 1e9) is None


def test_how_many_rows_a_batch_has_is_a_moving_mean() -> None:
    admission = Admission(Batching())
    for _ in range(PACE_SAMPLES):
        admission.learn(4, 0.004)
    admission.learn(9, 0.009)
    assert admission._batch_rows == pytest.approx(5.0)
    admission.learn(0, 0.0)
    assert admission._batch_rows == pytest.approx(4.2)


def test_how_long_a_batch_takes_is_a_moving_mean_too() -> None:
    admission = paced(0.1)
    admission.learn(1, 0.05)
    assert admission._batch_seconds == pytest.approx(0.09)
    admission.learn(1, 100.0)  # counts as twice as long
    assert admission._batch_seconds == pytest.approx(0.108)
    admission.reconsider(1, 0.058)
    assert admission._batch_seconds == pytest.approx(0.098)


@pytest.mark.parametrize(
    ("pace", "batch", "learned"),
    [(0.1, 0.3, (0.098, 0.3)), (0.05, 0.4, (0.05, 0.392)), (0.05, 0.3, (0.05, 0.3)), (0.09, 0.36, (0.09, 0.36))],
)
def test_a_batch_that_was_faster_in_one_way_teaches_that(
    pace: float, batch: float, learned: tuple[float, float]
) -> None:
    admission = paced(1.0)
    admission._pace, admission._batch_seconds, admission._batch_rows = pace, batch, 4.0
    admission.reconsider(1, 0.09)  # by the row 0.09; a full batch of four would take 0.36
    assert (admission._pace, admission._batch_seconds) == pytest.approx(learned)


def test_a_queue_need_not_be_looked_at_as_soon_as_it_goes_faster() -> None:
    admission = paced(0.003)
    assert admission.easy_rows == 0
    for _ in range(20):
        admission.reconsider(1, 0.0001)
    assert admission.easy_rows > 10
