"""Three times the load that the model can carry, open loop, in virtual time: most of what can be done is done in time."""

from __future__ import annotations

import random

import pytest

from shoal.core.errors import Overloaded
from shoal.core.model import Batching
from shoal.core.pressure import Stage
from support.calls import RecordedCall
from support.fake_workers import Bench, TimedWorkers


@pytest.mark.parametrize("timeout", [0.1, 1.0])
def test_goodput_stays_when_the_load_is_three_times_the_capacity(timeout: float) -> None:
    chance = random.Random(4)
    bench = Bench(Batching(max_size=8), workers=lambda loop: TimedWorkers(loop, lambda rows: 0.004 + 0.001 * rows))
    capacity, seconds = 8 / 0.012, 4.0
    start = bench.clock.now
    while bench.clock.now < start + seconds:
        bench.submit(1, timeout=timeout)
        bench.loop.advance(chance.expovariate(3 * capacity))
    bench.loop.advance(2)
    outcomes = bench.outcomes()
    assert sum(outcomes.values()) == len(bench.calls)
    assert outcomes["ok"] >= 0.9 * capacity * seconds
    assert outcomes["overloaded"] > outcomes.get("deadline_exceeded", 0)
    shed = [call for call in bench.calls if call.outcomes and isinstance(call.outcomes[0], Overloaded)]
    assert all(call.error.retry_after for call in shed)


def crowd(chance: random.Random, seconds: float, **rates: float) -> list[tuple[float, str]]:
    """When which tenant sends, in order."""
    due = []
    for tenant, rate in rates.items():
        at = chance.expovariate(rate)
        while at < seconds:
            due.append((at, tenant))
            at += chance.expovariate(rate)
    return sorted(due)


class TimedCall(RecordedCall):
    """Knows when it was answered."""

    __slots__ = ("clock", "seconds")

    def on_answer(self, body: bytes, json_length: int) -> None:
        super().on_answer(body, json_length)
        self.seconds = self.clock.now - self.arrived


def run(bench: Bench, due: list[tuple[float, str]], **levels: int) -> dict[str, list[TimedCall]]:
    """Send what is due, and wait; the calls by tenant. `levels` are by tenant, too."""
    sent: dict[str, list[TimedCall]] = {}
    start = bench.clock.now
    for number, (at, tenant) in enumerate(due):
        bench.loop.advance(start + at - bench.clock.now)
        call = TimedCall(number, arrived=bench.clock.now, timeout=1.0, tenant=tenant, level=levels.get(tenant, 1))
        call.clock = bench.clock
        sent.setdefault(tenant, []).append(call)
        bench.batcher.submit(call)
    bench.loop.advance(5)
    return sent


def p99(calls: list[TimedCall]) -> float:
    """Of calls that were all answered."""
    assert all(isinstance(call.outcomes[0], bytes) for call in calls)
    return sorted(call.seconds for call in calls)[len(calls) * 99 // 100]


def busy(size: int = 8, queue_rows: int = 16_384) -> Bench:
    """A worker with a capacity of 8 rows in 12 ms."""
    settings = Batching(max_size=size, queue_rows=queue_rows)
    return Bench(settings, workers=lambda loop: TimedWorkers(loop, lambda rows: 0.004 + 0.001 * rows))


CAPACITY = 8 / 0.012
BATCH = 0.012


@pytest.mark.parametrize("queue_rows", [16_384, 100])
def test_a_tenant_that_floods_costs_another_that_keeps_to_its_share_no_answer(queue_rows: int) -> None:
    due = crowd(random.Random(5), 4.0, modest=CAPACITY / 4, greedy=4 * CAPACITY)
    sent = run(busy(queue_rows=queue_rows), due)
    assert p99(sent["modest"]) <= 4 * BATCH  # two batches that were sent before, its own, and the one it just missed
    answered = sum(isinstance(call.outcomes[0], bytes) for calls in sent.values() for call in calls)
    assert answered >= 0.9 * CAPACITY * 4.0


@pytest.mark.parametrize("level", [2, 3])
def test_a_flood_of_less_urgent_calls_does_not_keep_up_the_urgent(level: int) -> None:
    due = crowd(random.Random(6), 4.0, urgent=CAPACITY / 3, flood=4 * CAPACITY)
    sent = run(busy(), due, flood=level)
    assert p99(sent["urgent"]) <= 3 * BATCH
    share = sum(isinstance(call.outcomes[0], bytes) for call in sent["flood"]) / (4.0 * CAPACITY)
    assert share >= 0.5


def test_urgent_calls_are_shed_only_when_less_urgent_ones_have_no_more_than_their_share() -> None:
    due = crowd(random.Random(7), 4.0, urgent=0.6 * CAPACITY, batch=1.4 * CAPACITY)
    sent = run(busy(queue_rows=200), due, batch=2)
    assert p99(sent["urgent"]) < 1.0
    assert any(isinstance(call.outcomes[0], Overloaded) for call in sent["batch"])


def test_what_can_wait_is_refused_while_memory_is_short_and_taken_again_afterwards() -> None:
    bench = busy()
    bench.batcher.strain(Stage.WATCHFUL)
    refused = [bench.submit(1, level=level)[0] for level in (2, 3)]
    taken = [bench.submit(1, level=level)[0] for level in (0, 1)]
    assert all(isinstance(call.error, Overloaded) and call.error.retry_after for call in refused)
    bench.batcher.strain(Stage.CALM)
    taken += [bench.submit(1, level=level)[0] for level in (2, 3)]
    bench.loop.advance(1)
    assert all(call.answered for call in taken)


def test_a_queue_that_is_shed_loses_its_end_and_no_more_than_is_asked_for() -> None:
    bench = Bench(Batching(max_size=4), slots=0)
    calls = bench.submit(100, body=b"x" * 1000)
    bench.batcher.shed(50_000)
    assert bench.batcher.waiting_bytes == 50_000
    assert [bool(call.outcomes) for call in calls] == [False] * 50 + [True] * 50


def test_a_call_that_cannot_have_its_turn_in_a_shared_worker_is_told_at_once() -> None:
    bench = Bench(slots=0)
    bench.workers.turn = 2.0
    (hopeless,) = bench.submit(1, timeout=1.0)
    assert isinstance(hopeless.error, Overloaded)
    (patient,) = bench.submit(1, timeout=3.0)
    assert not patient.outcomes


@pytest.mark.parametrize("share", [0.2, 0.8])
@pytest.mark.parametrize("slower", [8, 100, 300])
def test_after_the_trigger_has_gone_all_is_as_before_within_ten_seconds_without_an_operator(
    slower: int, share: float
) -> None:
    """Some load; then a worker that is slow (or hardly moves) and callers who try again; then load as before."""
    chance, bench = random.Random(8), None

    def cost(rows: int) -> float:
        assert bench is not None
        return (slower if 5 <= bench.clock.now - start < 10 else 1) * (0.004 + 0.001 * rows)

    bench = Bench(Batching(max_size=8), workers=lambda loop: TimedWorkers(loop, cost))
    start, load = bench.clock.now, share * CAPACITY
    due = crowd(chance, 25.0, callers=load)
    due += [(5 + at, tenant) for at, tenant in crowd(chance, 5.0, retries=2 * CAPACITY)]
    calls = [call for each in run(bench, sorted(due)).values() for call in each]
    before = [call for call in calls if call.arrived - start < 3]
    after = [call for call in calls if call.arrived - start >= 20]
    assert any(not isinstance(call.outcomes[0], bytes) for call in calls)
    assert p99(after) <= 1.2 * p99(before)


def test_what_was_learned_while_all_was_slow_is_unlearned_though_too_few_are_let_in_to_fill_a_batch() -> None:
    slower = {"by": 100.0}
    bench = Bench(
        Batching(max_size=8),
        workers=lambda loop: TimedWorkers(loop, lambda rows: slower["by"] * (0.004 + 0.001 * rows)),
    )
    bench.submit(200, timeout=600.0)
    bench.loop.advance(100.0)
    assert all(call.answered for call in bench.calls)
    slower["by"] = 1.0
    start = bench.clock.now
    calls = run(bench, crowd(random.Random(9), 10.0, callers=0.8 * CAPACITY))["callers"]
    assert p99([call for call in calls if call.arrived - start >= 5]) < 1.0
