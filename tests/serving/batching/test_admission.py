from __future__ import annotations

from dataclasses import dataclass

import pytest

from shoal.core.call import Call
from shoal.core.model import Batching
from shoal.core.pressure import Stage
from shoal.serving.batching.admission import PACE_SAMPLES, Admission
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
