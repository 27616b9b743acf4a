"""Who killed the worker: found by halves, at no cost to the neighbours, within the budget and the deadlines."""

from __future__ import annotations

from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import DeadlineExceeded, PoisonInput, Unavailable
from shoal.core.model import Batching
from shoal.serving.batching import quarantine
from shoal.serving.pool.jobs import Loss
from support.fake_workers import Bench


def run_spare(bench: Bench, poison: set[int]) -> int:
    """Let the quarantine worker work; it dies of the calls in `poison`. How often it died."""
    deaths = 0
    while bench.spare.jobs:
        if poison & set(bench.spare.sent[-1]):
            deaths += 1
            bench.spare.die()
        else:
            bench.spare.finish()
        bench.loop.turn()
    return deaths


@given(st.integers(1, 64), st.data())
def test_one_poison_is_found_by_halves_and_all_others_are_answered(size: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(0, size - 1))
    bench = Bench(Batching(max_size=64), slots=1)
    bench.submit(size)
    bench.loop.turn()
    bench.workers.die()
    deaths = 1 + run_spare(bench, {culprit})
    assert isinstance(bench.calls[culprit].error, PoisonInput)
    assert [call.answered for call in bench.calls if call.number != culprit] == [
        b"%d" % number for number in range(size) if number != culprit
    ]
    assert deaths <= max(2, ceil(log2(size)) + 1)
    assert bench.outcomes().get("ok", 0) == size - 1


@given(st.integers(1, 64), st.sets(st.integers(0, 63), min_size=1, max_size=5))
def test_several_poisons_are_all_found(size: int, culprits: set[int]) -> None:
    bench = Bench(Batching(max_size=64), slots=1)
    bench.submit(size)
    bench.loop.turn()
    bench.workers.die()
    run_spare(bench, culprits)
    for call in bench.calls:
        assert isinstance(call.outcomes[0], PoisonInput) == (call.number in culprits)


def test_a_known_poison_is_refused_without_dispatch_until_it_is_forgotten() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(1, body=b"bad")
    bench.loop.turn()
    bench.workers.die()
    run_spare(bench, {0})
    for _ in range(100):
        assert isinstance(bench.submit(1, body=b"bad")[0].error, PoisonInput)
    bench.submit(1, body=b"good")
    bench.loop.turn()
    assert bench.workers.sent == [[0], [101]]
    bench.loop.advance(601)
    bench.workers.finish()
    bench.submit(1, body=b"bad")
    bench.loop.turn()
    assert bench.workers.sent[2:] == [[102]]
    assert bench.instruments.poison_refused.value == 100


def test_the_batch_behind_the_suspect_is_innocent_and_goes_first_again() -> None:
    bench = Bench(Batching(max_size=2), slots=2)
    bench.submit(6)
    bench.loop.turn()
    bench.workers.die()
    bench.loop.turn()
    assert bench.workers.sent == [[0, 1], [2, 3], [2, 3], [4, 5]]
    assert bench.spare.sent == [[0]]
    assert [call.attempts for call in bench.calls] == [1, 1, 0, 0, 0, 0]


def test_a_kill_from_outside_while_a_call_is_alone_gives_it_another_chance() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(1)
    bench.loop.turn()
    bench.workers.die("SIGKILL", outside=True)
    bench.spare.die("SIGKILL", outside=True)
    bench.spare.finish()
    assert bench.calls[0].answered == b"0"


def test_whoever_is_always_killed_from_outside_is_refused_in_the_end() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(1)
    bench.loop.turn()
    bench.workers.die("SIGKILL", outside=True)
    bench.spare.die("SIGKILL", outside=True)
    bench.spare.die("SIGKILL", outside=True)
    assert isinstance(bench.calls[0].error, PoisonInput)


def test_calls_that_are_not_pure_are_not_run_again() -> None:
    bench = Bench(Batching(max_size=4), slots=1, pure=False)
    bench.submit(3)
    bench.loop.turn()
    bench.workers.die()
    assert all(isinstance(call.error, Unavailable) for call in bench.calls)
    assert bench.spare.sent == []


def test_suspects_above_the_budget_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_SUSPECTS", 6)
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(8)
    bench.loop.turn()
    bench.workers.die()
    bench.workers.die()
    told = [call for call in bench.calls if call.outcomes]
    assert len(told) == 2
    assert all(isinstance(call.error, Unavailable) for call in told)
    run_spare(bench, set())
    assert bench.outcomes() == {"unavailable": 2, "ok": 6}


def test_without_a_quarantine_worker_suspects_are_told_so() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(2)
    bench.loop.turn()
    bench.workers.die()
    while bench.spare.jobs:
        job = bench.spare.jobs.pop()
        job.owner.lost(job, Loss("not_started", suspect=False))
    assert all(isinstance(call.error, Unavailable) for call in bench.calls)


def test_deadlines_go_on_in_quarantine_and_the_expired_are_not_run() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(2, timeout=0.1)
    bench.submit(2)
    bench.loop.turn()
    bench.workers.die()
    bench.loop.advance(0.12)
    assert all(isinstance(call.error, DeadlineExceeded) for call in bench.calls[:2])
    bench.spare.finish()
    bench.spare.finish()
    assert [call.answered for call in bench.calls[2:]] == [b"2", b"3"]
    assert bench.spare.sent == [[0, 1], [2, 3]]


def test_a_cancelled_suspect_is_not_run() -> None:
    bench = Bench(Batching(max_size=2), slots=1)
    bench.submit(2)
    bench.loop.turn()
    bench.workers.die()
    bench.batcher.cancel(bench.calls[1])
    bench.spare.finish()
    assert bench.spare.sent == [[0]]
    assert bench.outcomes() == {"cancelled": 1, "ok": 1}


def test_many_of_one_poison_cost_hardly_more_deaths_than_one_and_their_neighbours_are_answered() -> None:
    bench = Bench(Batching(max_size=32), slots=1)
    for number in range(96):
        bench.submit(1, body=b"bad" if number % 8 == 6 else b"good")
    bad = {call.number for call in bench.calls if call.body == b"bad"}
    bench.loop.turn()
    bench.workers.die()
    on_its_way, deaths = bench.workers.sent[-1], 1 + run_spare(bench, bad)
    while bench.workers.jobs:
        if bench.workers.sent[-1] == on_its_way:
            bench.workers.die()
            deaths += 1 + run_spare(bench, bad)
        else:
            assert not bad & set(bench.workers.sent[-1]), "what waits is refused as well"
            bench.workers.finish()
        bench.loop.turn()
    assert deaths <= ceil(log2(32)) + 2
    assert bench.outcomes() == {"poison_input": 12, "ok": 84}
    assert bench.instruments.poison_refused.value == 11


def test_suspects_are_run_as_their_batch_was_and_counted_each_time() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(3, rows=1)
    bench.loop.turn()
    bench.workers.die()
    (half,) = bench.spare.jobs
    assert (half.rows, half.max_size, bench.spare.sent) == (2, 4, [[0, 1]])
    assert bench.instruments.retries.value == 3
    bench.spare.die()
    assert bench.spare.sent == [[0, 1], [0]]
    assert bench.instruments.retries.value == 5
    assert run_spare(bench, {0}) == 1
    assert bench.spare.sent == [[0, 1], [0], [1], [2]]
    assert [call.attempts for call in bench.calls] == [2, 2, 1]
    assert bench.instruments.poison_found.value == 1
    assert bench.outcomes() == {"poison_input": 1, "ok": 2}


def test_a_suspect_alone_is_counted_and_run_once_more() -> None:
    bench = Bench(Batching(max_size=1), slots=1)
    bench.submit(1)
    bench.loop.turn()
    bench.workers.die()
    assert (bench.calls[0].attempts, bench.instruments.retries.value) == (1, 1)
    assert bench.spare.sent == [[0]]


def test_suspects_wait_until_the_worker_aside_has_room() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.spare.slots = 0
    bench.submit(2)
    bench.loop.turn()
    bench.workers.die()
    assert (bench.spare.sent, bench.batcher.in_flight) == ([], 2)
    bench.spare.slots = 1
    bench.batcher.proceed_quarantine()
    assert bench.spare.sent == [[0]]


def test_who_is_told_to_come_again_is_told_when(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_SUSPECTS", 1)
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(2)
    bench.loop.turn()
    bench.workers.die()
    job = bench.spare.jobs.pop()
    job.owner.lost(job, Loss("not_started", suspect=False))
    told = [call.error for call in bench.calls]
    assert all(isinstance(error, Unavailable) and error.retry_after == 1.0 for error in told)


def test_as_many_as_may_be_are_suspects_and_not_one_more() -> None:
    assert quarantine.MAX_SUSPECTS == 256
    bench = Bench(Batching(max_size=64), slots=5)
    bench.workers.workers = 5
    for _ in range(5):
        bench.submit(64)
        bench.loop.turn()
    jobs, bench.workers.jobs = bench.workers.jobs, []
    for job in jobs:
        job.owner.lost(job, Loss("SIGSEGV", suspect=True, outside=False))
    assert sum(bool(call.outcomes) for call in bench.calls) == 5 * 64 - 256


def test_a_pair_that_is_killed_from_outside_is_halved_like_others() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    bench.submit(4)
    bench.loop.turn()
    bench.workers.die()
    bench.spare.die("SIGKILL", outside=True)
    assert bench.spare.sent == [[0, 1], [0]]


def test_a_poison_that_runs_twice_at_once_is_refused_without_another_death() -> None:
    bench = Bench(Batching(max_size=1), slots=2)
    bench.workers.workers = 2
    bench.submit(2, body=b"bad")
    bench.loop.turn()
    first, second = bench.workers.jobs
    bench.workers.jobs = []
    first.owner.lost(first, Loss("SIGSEGV", suspect=True, outside=False))
    bench.spare.die()
    second.owner.lost(second, Loss("SIGSEGV", suspect=True, outside=False))
    assert bench.spare.sent == [[0]]
    assert (bench.instruments.retries.value, [call.attempts for call in bench.calls]) == (1, [1, 0])
    assert bench.outcomes() == {"poison_input": 2}
    assert (bench.instruments.poison_found.value, bench.instruments.poison_refused.value) == (1, 1)


def test_in_quarantine_those_of_a_found_poisons_content_are_refused_with_it() -> None:
    bench = Bench(Batching(max_size=4), slots=1)
    for body in (b"bad", b"good", b"bad", b"good"):
        bench.submit(1, body=body)
    bench.loop.turn()
    bench.workers.die()
    assert run_spare(bench, {0, 2}) == 2
    assert bench.spare.sent == [[0, 1], [0], [1], [3]]
    assert bench.outcomes() == {"poison_input": 2, "ok": 2}
