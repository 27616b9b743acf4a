"""Who may come in: what is refused for want of memory or of a model, who is asked for room, and who makes it."""

from __future__ import annotations

import pytest

from shoal.core.errors import Overloaded, Unavailable
from shoal.core.model import Batching
from shoal.core.pressure import Stage
from shoal.serving.batching.waiting.admission import PACE_SAMPLES
from shoal.serving.batching.waiting.entrance import LONG_RETRY, SHORT_RETRY
from support.calls import RecordedCall
from support.fake_workers import Bench


def shed(call: RecordedCall) -> float | None:
    """When it was told to come again."""
    assert isinstance(call.error, Overloaded), call.error
    return call.error.retry_after


def paced(seconds: float, rows: int = 1, settings: Batching | None = None) -> Bench:
    """A batcher that has learned its pace, with one batch under way and nothing that waits."""
    bench = Bench(settings or Batching(max_size=rows), slots=1)
    bench.submit((PACE_SAMPLES + 2) * rows)
    bench.loop.turn()
    for _ in range(PACE_SAMPLES + 1):
        bench.workers.finish(seconds)
    assert bench.batcher.in_flight == rows
    return bench


def test_only_what_can_wait_is_refused_for_want_of_memory() -> None:
    bench = Bench(slots=0)
    assert not bench.batcher._entrance.watchful
    for stage in (Stage.WATCHFUL, Stage.TIGHT):
        bench.batcher.strain(stage)
        assert bench.batcher._entrance.watchful
        assert [shed(bench.submit(level=level)[0]) for level in (2, 3)] == [LONG_RETRY] * 2
        assert not any(bench.submit(level=level)[0].outcomes for level in (0, 1))
    assert bench.batcher._queue.rows == len(list(bench.batcher._queue)) == 4
    bench.batcher.strain(Stage.CALM)
    assert not bench.batcher._entrance.watchful
    assert not bench.submit(level=3)[0].outcomes


def test_calm_memory_refuses_nobody_where_the_model_is_looked_at_for_other_reasons() -> None:
    bench = Bench(slots=0)
    bench.batcher.refuse(lambda: Unavailable("gone"))
    assert isinstance(bench.submit()[0].error, Unavailable)
    assert bench.batcher._queue.rows == 0
    bench.batcher.refuse(None)
    bench.batcher._entrance.watchful = True
    assert not bench.submit(level=3)[0].outcomes


def test_with_memory_tight_a_quarter_of_the_bytes_may_wait() -> None:
    bench = Bench(Batching(queue_bytes=4000), slots=0)
    bench.submit(2, body=b"x" * 500)
    bench.batcher.strain(Stage.TIGHT)
    assert shed(bench.submit(body=b"x")[0])
    bench.batcher.strain(Stage.CALM)
    assert not bench.submit(body=b"x")[0].outcomes


def test_what_is_shed_is_the_end_of_the_queue_down_to_the_bound() -> None:
    bench = Bench(slots=0)
    calls = bench.submit(4, body=b"x" * 10)
    bench.batcher.shed(20)
    assert [shed(call) for call in calls[2:]] == [SHORT_RETRY] * 2
    assert bench.batcher.waiting_bytes == 20
    assert not any(call.outcomes for call in calls[:2])
    bench.batcher.shed(20)
    assert bench.batcher.in_flight == 2


def test_of_what_is_shed_a_short_call_behind_a_long_one_does_not_go_too() -> None:
    bench = Bench(slots=0)
    short, long = bench.submit(body=b"x")[0], bench.submit(body=b"x" * 100)[0]
    bench.batcher.shed(50)
    assert (short.outcomes, len(long.outcomes)) == ([], 1)


def test_a_queue_that_is_gone_at_once_refuses_nobody_whatever_the_deadlines() -> None:
    bench = paced(0.002, rows=4)  # 8 rows are gone in what is left of 10 ms: see `Admission.easy_rows`
    assert bench.batcher._admission.easy_rows == 8
    hasty = bench.submit(9, timeout=0.003)
    assert not any(call.outcomes for call in hasty)
    assert shed(bench.submit(timeout=0.003)[0])


def test_a_queue_of_few_bytes_refuses_nobody() -> None:
    bench = paced(0.1, settings=Batching(max_size=1, queue_bytes=2**20 + 100))
    bench.batcher._admission.easy_rows = 64
    hasty = bench.submit(2, timeout=0.003, body=b"x" * 50)
    assert not any(call.outcomes for call in hasty)
    assert not bench.submit(timeout=0.003, body=b"x")[0].outcomes
    assert shed(bench.submit(timeout=0.003, body=b"x")[0])


def test_a_call_of_several_rows_is_always_looked_at() -> None:
    bench = paced(0.1)
    bench.batcher._admission.easy_rows = 64
    bench.submit()
    assert not bench.submit(timeout=0.003)[0].outcomes
    assert shed(bench.submit(rows=2, timeout=0.003)[0])


def test_while_a_worker_is_idle_nobody_would_come_too_late() -> None:
    bench = paced(0.1)
    bench.workers.slots = 2
    bench.workers.workers = 2
    bench.batcher._queue.append(RecordedCall(arrived=bench.clock.now))
    assert not bench.submit(rows=2, timeout=0.003)[0].outcomes


def test_room_is_made_by_as_many_as_hold_more_than_their_share() -> None:
    bench = Bench(Batching(queue_rows=10), slots=0)
    greedy = bench.submit(10, tenant="greedy")
    (modest,) = bench.submit(rows=3, tenant="modest")
    assert not modest.outcomes
    assert [bool(call.outcomes) for call in greedy] == [False] * 7 + [True] * 3
    assert "better right" in str(greedy[-1].error)
    assert shed(bench.submit(tenant="greedy")[0])


@pytest.mark.parametrize("rows", [11, 1])
def test_a_call_that_finds_no_room_leaves_no_trace(rows: int) -> None:
    bench = Bench(Batching(queue_rows=10), slots=0)
    bench.submit(10)
    assert shed(bench.submit(rows=rows)[0])
    assert bench.batcher._queue.rows == bench.batcher.in_flight == 10
