"""What a batcher sets in motion: one call of the loop per turn, one timer per window, deadlines; and what it says of itself."""

from __future__ import annotations

import gc
import weakref
from math import inf

import msgspec
import pytest

from shoal.core.errors import DeadlineExceeded, Overloaded, PoisonInput
from shoal.core.model import Batching
from shoal.serving.pool.jobs import Loss
from support.fake_workers import Bench, TimedWorkers, echo


def test_all_calls_of_a_turn_are_one_call_of_the_loop() -> None:
    bench = Bench()
    bench.submit(3)
    assert len(bench.loop._soon) == 1
    bench.loop.turn()
    bench.submit(1)
    assert len(bench.loop._soon) == 1


def test_while_no_worker_has_room_the_loop_is_left_alone() -> None:
    bench = Bench(slots=0)
    bench.submit(3)
    assert len(bench.loop._soon) == 0
    bench.batcher.configure(Batching(max_size=2))
    assert len(bench.loop._soon) == 1
    idle = Bench()
    idle.batcher.configure(Batching(max_size=2))
    assert len(idle.loop._soon) == 0


def test_a_window_is_one_timer_and_none_once_a_batch_is_full() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=20))
    for _ in range(3):
        bench.submit(1)
        bench.loop.turn()
    assert bench.loop.timers == 2  # the window, and the earliest deadline
    bench.submit(1)
    bench.loop.turn()
    bench.submit(1, timeout=120)
    bench.workers.slots = 1
    bench.batcher.flush()
    bench.loop.advance(1)
    assert bench.workers.sent == [[0, 1, 2, 3]]


def test_who_takes_long_is_expected_to_from_all_that_a_batch_takes() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=1000))
    bench.submit(4)
    bench.loop.turn()
    job = bench.workers.jobs.pop()
    done, payload = echo(job)
    job.owner.done(job, msgspec.structs.replace(done, decode=0.01, compute=0.02, encode=0.03), payload)
    bench.submit(1, timeout=0.1)
    bench.loop.advance(0.0399)
    assert bench.workers.sent[1:] == []
    bench.loop.advance(0.0002)
    assert bench.workers.sent[1:] == [[4]]


def test_a_batch_of_which_nothing_was_read_teaches_nothing() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=1000))
    bench.submit(8)
    bench.loop.turn()
    bench.workers.finish(seconds=0.06)
    job = bench.workers.jobs.pop()
    done, payload = echo(job)
    job.owner.done(job, msgspec.structs.replace(done, rows=0, compute=0.0), payload)
    assert bench.batcher._batch_seconds == 0.06


def test_a_call_that_may_not_wait_long_is_looked_at_though_an_earlier_deadline_is_far() -> None:
    bench = Bench(Batching(max_size=4, queue_seconds=0.5), slots=1)
    bench.submit(1, timeout=10.0)
    bench.loop.advance(1.0)
    late = bench.submit(1, timeout=60.0)[0]
    bench.loop.advance(0.49)
    assert not late.outcomes
    bench.loop.advance(0.04)
    assert isinstance(late.error, Overloaded)
    bench.loop.advance(9.0)
    assert isinstance(bench.calls[0].error, DeadlineExceeded)


def test_what_waits_with_a_bound_is_looked_at_one_after_the_other_and_with_its_deadline_if_that_is_first() -> None:
    bench = Bench(Batching(max_size=4, queue_seconds=0.5), slots=0)
    for timeout in (60.0, 60.0, 0.1):
        bench.submit(1, timeout=timeout)
        bench.loop.advance(0.1)
    ended = []
    for _ in range(40):
        bench.loop.advance(0.01)
        ended += [call for call in bench.calls if call.outcomes and call not in ended]
        assert bench.loop.timers == (1 if len(ended) < 3 else 0)
        assert len(ended) == sum(bench.clock.now > bench.calls[0].arrived + due for due in (0.305, 0.505, 0.605))
    assert [call.number for call in ended] == [2, 0, 1]
    assert [type(call.error) for call in ended] == [DeadlineExceeded, Overloaded, Overloaded]
    assert bench.batcher.waiting_bytes == 0


def test_what_waits_is_not_looked_at_before_it_is_due() -> None:
    bench = Bench(Batching(max_size=4, queue_seconds=0.5), slots=0)
    bench.submit(1)
    bench.loop.advance(0.49)
    assert bench.batcher._deadlines._last == -inf


def test_a_batch_that_runs_is_not_looked_at_for_the_time_that_it_waited() -> None:
    bench = Bench(Batching(max_size=4, queue_seconds=0.5))
    bench.submit(1, timeout=5.0)
    bench.loop.advance(1.0)
    sweeps = bench.batcher._deadlines._last
    bench.loop.advance(3.0)
    assert bench.batcher._deadlines._last == sweeps
    bench.loop.advance(1.1)
    assert isinstance(bench.calls[0].error, DeadlineExceeded)


def test_one_that_expires_in_the_queue_gives_its_room_back() -> None:
    bench = Bench(Batching(max_size=4, queue_rows=4), slots=0)
    bench.submit(4, timeout=0.1)
    bench.loop.advance(0.2)
    assert (bench.batcher._queue.rows, bench.batcher.waiting_bytes) == (0, 0)


def test_it_says_how_much_waits_and_for_how_long_it_did() -> None:
    bench = Bench(Batching(max_size=4), slots=0)
    bench.submit(2, rows=2, body=b"xyz")
    bench.batcher.update_gauges()
    told = bench.instruments
    assert (told.queue_rows.value, told.queue_bytes.value) == (4, 6)
    bench.loop.advance(0.25)
    bench.submit(1, rows=2)
    bench.workers.slots = 2
    bench.batcher.flush()
    assert (sum(told.queue_seconds.counts), told.queue_seconds.sum) == (2, 0.5)
    assert told.queue_seconds.counts[told.queue_seconds.bounds.index(0.25)] == 2
    (first,) = bench.workers.jobs
    assert (first.rows, first.waited, first.full) == (4, 0.5, True)
    bench.workers.finish()
    assert [(job.rows, job.full) for job in bench.workers.jobs] == [(2, False)]
    bench.batcher.update_gauges()
    assert (told.queue_rows.value, told.queue_bytes.value) == (0, 0)


def test_it_says_how_large_a_batch_may_be() -> None:
    bench = Bench(Batching(), workers=lambda loop: TimedWorkers(loop, lambda rows: 0.02 + 0.001 * rows))
    assert bench.instruments.batch_limit.value == 4
    bench.submit(200)
    bench.loop.advance(30)
    assert bench.instruments.batch_limit.value == bench.batcher._size.rows > 4
    bench.batcher.configure(Batching(max_size=7))
    assert bench.instruments.batch_limit.value == 7


def test_a_target_in_milliseconds_bounds_a_batch_in_seconds() -> None:
    bench = Bench(
        Batching(latency_target_ms=30), workers=lambda loop: TimedWorkers(loop, lambda rows: 0.020 + 0.001 * rows)
    )
    for _ in range(40):
        bench.submit(20)
        bench.loop.advance(5)
    assert bench.batcher._size.rows == 8


def test_batches_that_are_not_full_do_not_make_it_larger() -> None:
    bench = Bench(Batching(), workers=lambda loop: TimedWorkers(loop, lambda rows: 0.02 + 0.001 * rows))
    for _ in range(40):
        bench.submit(4)
        bench.loop.advance(1)
    assert bench.instruments.batch_limit.value == 4


def test_bounds_change_with_the_settings() -> None:
    bench = Bench(Batching(max_size=4), slots=0)
    bench.submit(4)
    bench.batcher.configure(Batching(max_size=4, queue_rows=4))
    assert isinstance(bench.submit(1)[0].error, Overloaded)


def test_the_load_is_shared_by_as_many_workers_as_it_is_told() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(20)
    bench.loop.turn()
    for _ in range(10):
        bench.workers.finish(seconds=0.1)
    alone = bench.batcher._admission.row_seconds
    assert alone == pytest.approx(0.1)
    bench.batcher.share(4)
    assert bench.batcher._admission.row_seconds == pytest.approx(alone / 4)


def test_a_request_that_is_not_batchable_is_never_split() -> None:
    bench = Bench(Batching(max_size=4), slots=4)
    bench.submit(2)
    bench.loop.turn()
    bench.batcher.keep_apart()
    bench.submit(1, rows=10**9)
    bench.loop.turn()
    assert bench.workers.jobs[0].max_size == 4
    assert bench.workers.jobs[-1].max_size >= 10**9


def test_a_model_that_is_not_batchable_leaves_with_its_first_request() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=1000))
    bench.batcher.keep_apart()
    bench.submit(1)
    bench.loop.turn()
    assert bench.workers.sent == [[0]]


def test_a_known_poison_takes_no_room() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(1, body=b"bad")
    bench.loop.turn()
    bench.workers.die()
    bench.spare.die()
    bench.workers.slots = 0
    assert isinstance(bench.submit(1, body=b"bad")[0].error, PoisonInput)
    assert (bench.batcher._queue.rows, len(bench.batcher._queue._line)) == (0, 0)


def test_what_was_closed_is_gone_with_the_last_who_knows_it_and_calls_nobody() -> None:
    bench = Bench(Batching(policy="fixed", max_size=4, max_wait_ms=1000))
    bench.submit(1)
    bench.loop.turn()
    assert bench.loop.timers == 2
    bench.batcher.close()
    assert bench.loop.timers == 0
    gone, quarantine, loop = weakref.ref(bench.batcher), bench.batcher._quarantine, bench.loop
    gc.disable()
    try:
        bench.workers.on_room = lambda: None
        del bench
        loop.advance(100)
        assert gone() is None
        quarantine.close()
    finally:
        gc.enable()


def test_batches_that_have_ended_are_not_kept() -> None:
    bench = Bench(Batching(max_size=1), slots=2)
    bench.submit(4)
    bench.loop.turn()
    bench.workers.finish()
    bench.workers.die()
    assert {id(job) for job in bench.batcher._jobs} == {id(job) for job in bench.workers.jobs}
    while bench.workers.jobs:
        bench.workers.finish()
    assert bench.batcher._jobs == set()


def test_the_innocent_leave_again_without_being_asked_for() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(1)
    bench.loop.turn()
    job = bench.workers.jobs.pop()
    job.owner.lost(job, Loss("SIGSEGV", suspect=False))
    bench.loop.turn()
    assert bench.workers.sent == [[0], [0]]


def test_a_batch_is_full_if_as_much_as_one_row_stays_behind() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(5)
    bench.loop.turn()
    assert bench.workers.jobs[0].full


def test_what_is_refused_as_poison_while_it_waits_gives_its_room_back() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(3, body=b"bad")
    bench.loop.turn()
    bench.workers.slots = 0
    bench.workers.die()
    assert bench.batcher._queue.rows == 2
    bench.spare.die()
    assert [type(call.error) for call in bench.calls] == [PoisonInput] * 3
    assert (bench.batcher._queue.rows, bench.batcher.waiting_bytes) == (0, 0)
