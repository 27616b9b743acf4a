"""The batcher on virtual time: who leaves when, with whom, and what everybody is told."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.call import State
from shoal.core.errors import DeadlineExceeded, ModelError, NotReady, Overloaded, Unavailable
from shoal.core.ipc.messages import FAILED, OK
from shoal.core.model import Batching
from support.calls import RecordedCall
from support.fake_workers import Bench, TimedWorkers, echo

FIXED = Batching(policy="fixed", max_size=4, max_wait_ms=20)


def test_four_at_once_leave_at_once() -> None:
    bench = Bench(FIXED)
    bench.submit(4)
    bench.loop.turn()
    assert bench.workers.sent == [[0, 1, 2, 3]]


def test_five_at_once_make_four_and_one() -> None:
    bench = Bench(FIXED)
    bench.submit(5)
    bench.loop.advance(0.0199)
    assert bench.workers.sent == [[0, 1, 2, 3]]
    bench.loop.advance(0.0002)
    assert bench.workers.sent == [[0, 1, 2, 3], [4]]


def test_a_single_request_leaves_after_the_longest_wait_and_not_before() -> None:
    bench = Bench(FIXED)
    bench.submit(1)
    bench.loop.advance(0.0199)
    assert bench.workers.sent == []
    bench.loop.advance(0.0002)
    assert bench.workers.sent == [[0]]


def test_the_wait_is_counted_from_the_first_request_of_the_batch() -> None:
    bench = Bench(FIXED)
    bench.submit(1)
    for _ in range(2):
        bench.loop.advance(0.009)
        bench.submit(1)
    bench.loop.advance(0.0021)
    assert bench.workers.sent == [[0, 1, 2]]


def test_the_next_batch_waits_from_its_own_first_request() -> None:
    bench = Bench(FIXED)
    bench.submit(4)
    bench.loop.advance(0.015)
    bench.submit(1)
    bench.loop.advance(0.0195)
    assert bench.workers.sent == [[0, 1, 2, 3]]
    bench.loop.advance(0.001)
    assert bench.workers.sent[1:] == [[4]]


def test_size_one_adds_no_wait() -> None:
    bench = Bench(Batching(policy="fixed", max_size=1, max_wait_ms=20), slots=8)
    bench.submit(3)
    bench.loop.turn()
    assert bench.workers.sent == [[0], [1], [2]]


def test_adaptive_waits_for_nobody_while_a_worker_has_room() -> None:
    bench = Bench(Batching(max_size=4))
    bench.submit(1)
    bench.loop.turn()
    assert bench.workers.sent == [[0]]


def test_what_arrives_in_one_turn_leaves_together_and_what_comes_later_collects() -> None:
    bench = Bench(Batching(max_size=4))
    bench.submit(3)
    bench.loop.turn()
    bench.submit(2)
    bench.loop.turn()
    for _ in range(6):
        bench.submit(1)
        bench.loop.turn()
    assert bench.workers.sent == [[0, 1, 2], [3, 4, 5]]
    bench.workers.finish()
    assert bench.workers.sent[2:] == [[6, 7, 8, 9]]


def test_the_unit_is_rows() -> None:
    bench = Bench(Batching(max_size=32), slots=4)
    bench.workers.workers = 4
    bench.submit(1, rows=30)
    bench.submit(1, rows=2)
    bench.submit(1, rows=1)
    bench.submit(1, rows=100)
    bench.submit(1, rows=1)
    bench.loop.turn()
    assert bench.workers.sizes == [32, 1, 100, 1]


def test_a_model_that_is_not_batchable_gets_one_request_at_a_time_and_unsplit() -> None:
    bench = Bench(Batching(max_size=4), slots=8)
    bench.batcher.keep_apart()
    bench.submit(2)
    bench.submit(1, rows=9)
    bench.loop.turn()
    assert bench.workers.sent == [[0], [1], [2]]
    assert bench.workers.jobs[2].max_size >= 9


def test_each_gets_its_own_answer_and_only_the_culprit_gets_the_error() -> None:
    bench = Bench(Batching(max_size=8))
    bench.submit(8)
    bench.loop.turn()
    bench.workers.finish(errors={3: ModelError("bad row")})
    assert isinstance(bench.calls[3].error, ModelError)
    assert [call.answered for at, call in enumerate(bench.calls) if at != 3] == [
        b"%d" % n for n in (0, 1, 2, 4, 5, 6, 7)
    ]
    assert bench.outcomes() == {"ok": 7, "model_error": 1}


@given(st.integers(0, 2**32), st.sampled_from(["adaptive", "fixed"]))
@settings(max_examples=8, deadline=None)
def test_a_thousand_random_arrivals_each_get_their_own(seed: int, policy: str) -> None:
    chance = random.Random(seed)
    batching = Batching(policy=policy, max_size=chance.choice([None, 4, 7]))  # type: ignore[arg-type]
    bench = Bench(batching, workers=lambda loop: TimedWorkers(loop, lambda rows: 0.002 + 0.0001 * rows, workers=2))
    for _ in range(1000):
        bench.submit(1, rows=chance.choice([1, 1, 1, 2, 9]), level=chance.randrange(4))
        bench.loop.advance(chance.expovariate(1 / 0.001))
    bench.loop.advance(5)
    assert [call.answered for call in bench.calls] == [b"%d" % number for number in range(1000)]
    assert bench.outcomes() == {"ok": 1000}


@pytest.mark.parametrize("policy", ["adaptive", "fixed"])
def test_batches_of_four_carry_twice_the_load_of_single_requests_with_less_waiting(policy: str) -> None:
    def mean_latency(size: int) -> tuple[float, float]:
        chance = random.Random(7)
        bench = Bench(
            Batching(policy=policy, max_size=size),  # type: ignore[arg-type]
            workers=lambda loop: TimedWorkers(loop, lambda rows: 0.020 + 0.001 * rows),
        )
        start = bench.clock.now
        for _ in range(1000):
            bench.submit(1)
            bench.loop.advance(chance.expovariate(60))
        while any(not call.outcomes for call in bench.calls):
            bench.loop.advance(0.05)
        histogram = bench.instruments.request_seconds
        return histogram.sum / 1000, 1000 / (bench.clock.now - start)

    (alone, alone_rate), (batched, batched_rate) = mean_latency(1), mean_latency(4)
    assert batched < alone / 2
    assert batched_rate > alone_rate


def test_auto_size_at_saturation_carries_more_than_twice_what_single_requests_do() -> None:
    def seconds_for(batching: Batching) -> float:
        bench = Bench(batching, workers=lambda loop: TimedWorkers(loop, lambda rows: 0.020 + 0.001 * rows))
        start = bench.clock.now
        bench.submit(1000, timeout=1000)
        while any(not call.outcomes for call in bench.calls):
            bench.loop.advance(0.05)
        return bench.clock.now - start

    assert seconds_for(Batching(max_size=4)) < seconds_for(Batching(max_size=1)) / 2
    assert seconds_for(Batching()) < seconds_for(Batching(max_size=1)) / 8


def test_an_expired_call_is_told_in_time_and_never_sent() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(1)
    bench.loop.turn()
    late = bench.submit(1, timeout=0.2)[0]
    bench.loop.advance(0.199)
    assert not late.outcomes
    bench.loop.advance(0.021)
    assert isinstance(late.error, DeadlineExceeded)
    bench.workers.finish()
    bench.loop.turn()
    assert bench.workers.sent == [[0]]


def test_a_dispatched_call_is_told_in_time_and_its_late_answer_is_dropped() -> None:
    bench = Bench(Batching(max_size=4))
    slow, patient = bench.submit(1, timeout=0.1)[0], bench.submit(1)[0]
    bench.loop.advance(0.12)
    assert isinstance(slow.error, DeadlineExceeded)
    bench.workers.finish()
    assert patient.answered == b"1"
    assert bench.outcomes() == {"deadline_exceeded": 1, "ok": 1}


def test_deadlines_of_any_order_are_kept_with_one_timer() -> None:
    bench = Bench(Batching(max_size=4), slots=0)
    chance = random.Random(3)
    for _ in range(200):
        bench.submit(1, timeout=chance.uniform(0.01, 2.0))
        assert bench.loop.timers == 1
    told: dict[int, float] = {}
    while len(told) < 200:
        bench.loop.advance(0.001)
        told.update({call.number: bench.clock.now for call in bench.calls if call.outcomes and call.number not in told})
    assert all(call.deadline <= told[call.number] <= call.deadline + 0.020 for call in bench.calls)


def test_a_deadline_shortens_the_window_of_the_fixed_policy() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=1000))
    bench.submit(1, timeout=0.1)
    bench.loop.advance(0.0951)
    assert bench.workers.sent == [[0]]
    bench.submit(4)
    bench.loop.turn()
    while bench.workers.jobs:
        bench.workers.finish(seconds=0.03)
    bench.submit(1, timeout=0.1)
    bench.loop.advance(0.0701)
    assert bench.workers.sent[-1] == [5]


def test_a_cancelled_call_frees_its_rows_at_once_and_is_not_sent() -> None:
    bench = Bench(Batching(max_size=4, queue_rows=4), slots=1)
    bench.submit(1)
    bench.loop.turn()
    waiting = bench.submit(4)
    assert isinstance(bench.submit(1)[0].error, Overloaded)
    bench.batcher.cancel(waiting[1])
    bench.submit(1)
    bench.workers.finish()
    assert bench.workers.sent == [[0], [1, 3, 4, 6]]
    assert bench.outcomes() == {"ok": 1, "overloaded": 1, "cancelled": 1}


def test_a_call_cancelled_in_a_batch_costs_its_neighbours_nothing() -> None:
    bench = Bench(Batching(max_size=4))
    bench.submit(4)
    bench.loop.turn()
    bench.batcher.cancel(bench.calls[2])
    bench.batcher.cancel(bench.calls[2])
    bench.workers.finish()
    assert [len(call.outcomes) for call in bench.calls] == [1, 1, 0, 1]
    assert bench.outcomes() == {"ok": 3, "cancelled": 1}


def test_many_cancelled_calls_leave_nothing_behind() -> None:
    bench = Bench(Batching(max_size=4), slots=0)
    for _ in range(10_000):
        bench.batcher.cancel(bench.submit(1)[0])
    assert len(bench.batcher._queue._line) < 200
    assert (bench.batcher._queue.rows, bench.batcher._queue.bytes) == (0, 0)


@pytest.mark.parametrize(
    "settings",
    [Batching(max_size=4, queue_rows=8), Batching(max_size=4, queue_bytes=16)],
    ids=["rows", "bytes"],
)
def test_the_queue_is_bounded_and_sheds_at_once_with_a_time_to_come_again(settings: Batching) -> None:
    bench = Bench(settings, slots=0)
    bench.submit(8, body=b"xy")
    shed = bench.submit(1, body=b"xy")[0]
    assert isinstance(shed.error, Overloaded)
    assert shed.error.retry_after is not None
    assert 0 < shed.error.retry_after <= 60


def test_a_request_larger_than_the_whole_queue_is_taken_when_nothing_waits() -> None:
    bench = Bench(Batching(max_size=4, queue_rows=8), slots=1)
    bench.submit(1, rows=50)
    bench.loop.turn()
    assert bench.workers.sizes == [50]


def test_calls_that_waited_too_long_are_shed() -> None:
    bench = Bench(Batching(max_size=4, queue_seconds=0.5), slots=0)
    bench.submit(1)
    bench.loop.advance(0.49)
    assert not bench.calls[0].outcomes
    bench.loop.advance(0.04)
    assert isinstance(bench.calls[0].error, Overloaded)


def test_a_call_whose_turn_would_come_too_late_is_shed_at_once() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(1)
    bench.loop.turn()
    bench.submit(30)
    for _ in range(10):
        bench.workers.finish(seconds=0.1)
    hurried, patient = bench.submit(1, timeout=0.5)[0], bench.submit(1, timeout=10)[0]
    assert isinstance(hurried.error, Overloaded)
    assert not patient.outcomes


def test_calls_are_refused_while_there_is_no_model() -> None:
    bench = Bench()
    bench.batcher.refuse(lambda: NotReady("it is loading"))
    assert isinstance(bench.submit(1)[0].error, NotReady)
    bench.batcher.refuse(None)
    bench.submit(1)
    bench.loop.turn()
    assert bench.workers.sent == [[1]]


def test_fail_all_tells_everybody_wherever_they_are() -> None:
    bench = Bench(Batching(max_size=2), slots=2)
    bench.submit(6)
    bench.loop.turn()
    bench.workers.die()
    bench.batcher.fail_all(lambda: Unavailable("stopped"))
    assert all(isinstance(call.error, Unavailable) for call in bench.calls)
    assert bench.outcomes() == {"unavailable": 6}


def test_settings_change_while_calls_wait() -> None:
    bench = Bench(Batching(policy="fixed", max_size=8, max_wait_ms=1000))
    bench.submit(3)
    bench.loop.turn()
    assert bench.workers.sent == []
    bench.batcher.configure(Batching(policy="fixed", max_size=2, max_wait_ms=1000))
    bench.loop.turn()
    assert bench.workers.sent == [[0, 1]]


def test_no_level_starves_and_the_urgent_get_most() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    for level in range(4):
        bench.submit(400, level=level)
    bench.loop.turn()
    for _ in range(300):
        bench.workers.finish()
    served = [sum(1 for call in bench.calls if call.outcomes and call.level == level) for level in range(4)]
    assert served == pytest.approx([160, 80, 40, 20], abs=2)


def test_a_late_comer_of_low_priority_gets_its_share_under_full_load_of_high_priority() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(50, level=0)
    bench.loop.turn()
    for _ in range(1000):
        bench.submit(1, level=0)
        bench.workers.finish()
    low = bench.submit(1, level=3)[0]
    for _ in range(12):
        bench.submit(1, level=0)
        bench.workers.finish()
    assert low.state is State.DONE


def test_drained_waits_for_the_last_outcome() -> None:
    async def run() -> None:
        bench = Bench(Batching(max_size=2), slots=1)
        bench.submit(3)
        bench.loop.turn()
        drained = asyncio.ensure_future(bench.batcher.drained())
        await asyncio.sleep(0)
        bench.workers.finish()
        await asyncio.sleep(0)
        assert not drained.done()
        bench.workers.finish()
        await drained
        assert all(call.outcomes for call in bench.calls)

    asyncio.run(run())


def test_an_error_that_cannot_be_read_is_still_an_outcome() -> None:
    bench = Bench(Batching(max_size=4))
    bench.submit(2)
    bench.loop.turn()
    job = bench.workers.jobs.pop()
    done, _ = echo(job)
    job.owner.done(job, msgspec.structs.replace(done, statuses=bytes([FAILED, OK])), b"01")
    assert isinstance(bench.calls[0].error, ModelError)
    assert bench.calls[1].answered == b"1"


def test_a_gateway_that_fails_to_deliver_costs_the_neighbours_nothing() -> None:
    class Broken(RecordedCall):
        def on_answer(self, body: bytes, json_length: int) -> None:
            raise RuntimeError("a bug")

    bench = Bench(Batching(max_size=4))
    bench.batcher.submit(Broken(arrived=bench.clock.now))
    neighbour = bench.submit(1)[0]
    bench.loop.turn()
    bench.workers.finish()
    assert neighbour.answered == b"0"


def test_statistics_have_the_shape_of_v2() -> None:
    bench = Bench(Batching(max_size=4))
    bench.submit(3)
    bench.loop.turn()
    bench.workers.finish(seconds=0.002)
    said = bench.ledger.statistics.to_json()
    assert said["inference_count"] == 3
    assert said["execution_count"] == 1
    stats = said["inference_stats"]
    assert isinstance(stats, dict)
    assert stats["success"]["count"] == 3
    assert stats["compute_infer"] == {"count": 3, "ns": 6_000_000}
    assert [each["batch_size"] for each in said["batch_stats"]] == [3]  # type: ignore[index,attr-defined]
