from __future__ import annotations

from dataclasses import dataclass

import pytest

from shoal.core.model import Batching
from shoal.serving.batching.admission import PACE_SAMPLES, Admission
from support.calls import RecordedCall


@dataclass
class Held:
    rows: int = 1
    bytes: int = 1


def call(timeout: float = 1.0, level: int = 1) -> RecordedCall:
    return RecordedCall(arrived=0.0, timeout=timeout, level=level)


def paced(seconds: float, settings: Batching | None = None) -> Admission:
    admission = Admission(settings or Batching())
    for _ in range(PACE_SAMPLES):
        admission.learn(1, seconds)
    return admission


def test_an_empty_queue_takes_any_call() -> None:
    assert paced(100.0, Batching(queue_rows=1, queue_bytes=1)).refusal(Held(0, 0), call(), busy=True) is None


def test_until_the_pace_is_known_nobody_is_refused_for_it() -> None:
    admission = Admission(Batching())
    admission.learn(1, 100.0)
    assert admission.refusal(Held(50), call(), busy=True) is None


def test_whose_turn_comes_too_late_is_refused_unless_urgent() -> None:
    admission = paced(0.1)
    refused = admission.refusal(Held(20), call(timeout=1.0), busy=True)
    assert refused is not None
    assert refused.retry_after == pytest.approx(2.0)
    assert admission.refusal(Held(20), call(timeout=3.0), busy=True) is None
    assert admission.refusal(Held(20), call(timeout=1.0, level=0), busy=True) is None
    assert admission.refusal(Held(20), call(timeout=1.0), busy=False) is None


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
    assert admission.refusal(Held(6), call(timeout=60), busy=True) is not None
    assert admission.refusal(Held(4), call(timeout=60), busy=True) is None
