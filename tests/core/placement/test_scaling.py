from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.placement.scaling import Memory, Seen, Step, step
from shoal.core.service import Autoscaling

MAYBE = st.none() | st.floats(0, 1e6)
POLICIES = st.builds(
    Autoscaling,
    min_replicas=st.integers(0, 5),
    max_replicas=st.integers(0, 40),
    concurrency=st.none() | st.floats(0.1, 50),
    rate=st.none() | st.floats(0.1, 500),
    latency_ms=st.none() | st.floats(1, 500),
    cpu_percent=st.none() | st.floats(10, 90),
    gpu_percent=st.none() | st.floats(10, 90),
    idle_seconds=st.sampled_from([0.0, 30.0]),
    scale_down_seconds=st.sampled_from([0.0, 20.0, 60.0]),
)
SIGHTS = st.builds(
    Seen,
    now=st.just(0.0),
    ready=st.integers(0, 40),
    in_flight=st.sampled_from([0, 1, 7, 300]),
    rate=MAYBE,
    latency_ms=MAYBE,
    cpu_percent=MAYBE,
    gpu_percent=MAYBE,
    idle_since=st.none() | st.floats(-100, 0),
)


def policy(**fields: float) -> Autoscaling:
    return msgspec.convert({"min_replicas": 1, "max_replicas": 10, **fields}, Autoscaling)


def run(policy: Autoscaling, sights: list[Seen], start: int = 1, every: float = 5.0) -> list[Step]:
    """The steps of a service that is seen like this, one sight after another."""
    steps, memory = [], Memory(start)
    for number, seen in enumerate(sights):
        taken = step(policy, dataclasses.replace(seen, now=number * every), memory)
        steps.append(taken)
        memory = taken.memory
    return steps


def busy(in_flight: float, ready: int = 1, **fields: float) -> Seen:
    return Seen(now=0.0, ready=ready, in_flight=in_flight, **fields)


@given(POLICIES, st.lists(SIGHTS, min_size=1, max_size=20), st.integers(0, 40), st.sampled_from([1.0, 15.0, 100.0]))
def test_the_bounds_hold_whatever_is_seen(policy: Autoscaling, sights: list[Seen], start: int, every: float) -> None:
    before = start
    for taken in run(policy, sights, start, every):
        most = max(policy.max_replicas, policy.min_replicas)
        assert policy.min_replicas <= taken.replicas <= most
        assert taken.replicas <= max(2 * before, before + 1, policy.min_replicas)
        assert taken.reason
        assert len(taken.memory.needs) <= most + 2
        before = taken.replicas


@given(POLICIES, SIGHTS, st.integers(0, 20), st.data())
def test_more_load_never_gives_fewer_workers(policy: Autoscaling, seen: Seen, start: int, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(["in_flight", "rate", "latency_ms", "cpu_percent", "gpu_percent"]))
    value = getattr(seen, field)
    if value is None:
        return
    more = dataclasses.replace(seen, **{field: value * data.draw(st.floats(1, 10)) + data.draw(st.floats(0, 50))})
    if more.in_flight:
        seen, more = dataclasses.replace(seen, idle_since=None), dataclasses.replace(more, idle_since=None)
    memory = Memory(start)
    assert step(policy, more, memory).replicas >= step(policy, seen, memory).replicas


@given(
    st.sampled_from(["concurrency", "rate", "cpu_percent", "gpu_percent"]),
    st.floats(0.5, 100),
    st.floats(0, 3000),
    st.integers(1, 40),
    st.integers(0, 4),
)
@settings(max_examples=60)
def test_a_constant_load_is_answered_by_a_constant_number_of_workers(
    field: str, target: float, load: float, start: int, lag: int
) -> None:
    """Workers come `lag` steps late; averages are those of the ready ones."""
    scaled, memory = policy(max_replicas=40, **{field: target}), Memory(start)
    wanted: list[int] = [start] * (lag + 1)
    for number in range(60):
        ready = max(1, min(wanted[-1 - lag :]))
        value = {"concurrency": {"in_flight": load}, "rate": {"rate": load}}.get(field, {field: load / ready})
        seen = Seen(now=number * 5.0, ready=ready, **{"in_flight": 1.0, **value})
        taken = step(scaled, seen, memory)
        memory = taken.memory
        wanted.append(taken.replicas)
    changes = [after - before for before, after in pairwise(wanted) if after != before]
    assert len(set(wanted[-20:])) == 1
    assert sum(one * other < 0 for one, other in pairwise(changes)) == 0
    enough = min(40, max(1, load / target))
    assert enough * 0.9 - 1e-6 <= wanted[-1] <= math.ceil(enough / 0.9) + 1e-6 or wanted[-1] == start


@given(st.lists(st.none() | st.floats(0, 70), min_size=30, max_size=60))
def test_a_metric_that_comes_and_goes_does_not_make_workers_come_and_go(values: list[float | None]) -> None:
    sights = [Seen(now=0, ready=5, in_flight=3, cpu_percent=value) for value in values]
    counts = [each.replicas for each in run(policy(cpu_percent=70, scale_down_seconds=60), sights, start=5)]
    assert counts == sorted(counts, reverse=True)
    for at, value in enumerate(values):
        if value is None and at:
            assert counts[at] == counts[at - 1]


def test_it_doubles_at_most_and_says_so() -> None:
    steps = run(policy(concurrency=2), [busy(18)] * 5)
    assert [each.replicas for each in steps] == [2, 4, 8, 9, 9]
    assert steps[0].reason == "18 requests in flight at 2 per worker; at most twice as many at once"
    assert steps[3].reason == "18 requests in flight at 2 per worker"
    assert steps[4].reason == "18 requests in flight are about 2 per worker"


def test_the_maximum_is_said() -> None:
    (taken,) = run(policy(concurrency=1, max_replicas=3), [busy(9)], start=3)
    assert (taken.replicas, taken.reason) == (3, "9 requests in flight at 1 per worker, and the maximum is 3")


def test_less_must_have_been_enough_for_a_while() -> None:
    sights = [busy(10)] * 2 + [busy(2)] * 20
    steps = run(policy(concurrency=1, scale_down_seconds=60), sights, start=10)
    counts = [each.replicas for each in steps]
    assert counts == [10] * 14 + [2] * 8
    assert steps[5].reason == "2 requests in flight at 1 per worker, but 10 were needed in the last 60 seconds"


def test_a_short_peak_within_the_window_keeps_what_it_needed() -> None:
    sights = [busy(2)] * 10 + [busy(6)] + [busy(2)] * 8
    counts = [each.replicas for each in run(policy(concurrency=1, scale_down_seconds=60), sights, start=10)]
    assert counts == [10] * 12 + [6] * 7


def test_after_a_time_without_steps_nothing_is_taken_away_at_once() -> None:
    scaled = policy(concurrency=1, scale_down_seconds=60)
    taken = step(scaled, busy(8), Memory(8))
    later = step(scaled, dataclasses.replace(busy(1), now=1000.0), taken.memory)
    assert later.replicas == 8
    assert step(scaled, dataclasses.replace(busy(1), now=1061.0), later.memory).replicas == 1


def test_the_last_worker_goes_after_idle_seconds_and_the_first_request_brings_one_back() -> None:
    scaled = policy(min_replicas=0, concurrency=4, idle_seconds=300, scale_down_seconds=60)
    idle = Seen(now=299.0, ready=1, idle_since=0.0)
    assert step(scaled, idle, Memory(1)).replicas == 1
    gone = step(scaled, dataclasses.replace(idle, now=300.0), Memory(1))
    assert (gone.replicas, gone.reason) == (0, "no request for 300 seconds")
    assert step(scaled, dataclasses.replace(idle, now=400.0, ready=0), gone.memory).replicas == 0
    back = step(scaled, Seen(now=401.0, ready=0, in_flight=9), gone.memory)
    assert back.replicas == 1
    assert step(scaled, Seen(now=402.0, ready=0, in_flight=9), back.memory).replicas == 2


def test_a_minimum_keeps_an_idle_service() -> None:
    scaled = policy(min_replicas=2, concurrency=4)
    assert step(scaled, Seen(now=1e6, ready=2, idle_since=0.0), Memory(2)).replicas == 2


@pytest.mark.parametrize(
    ("field", "target", "seen", "wanted"),
    [
        ("cpu_percent", 50, {"cpu_percent": 80.0}, 5),
        ("cpu_percent", 50, {"cpu_percent": 54.0}, 3),
        ("gpu_percent", 75, {"gpu_percent": 100.0}, 4),
        ("latency_ms", 20, {"latency_ms": 40.0}, 6),
        ("rate", 10, {"rate": 52.0}, 6),
        ("rate", 10, {"rate": 32.0}, 3),
    ],
)
def test_each_target_asks_in_proportion(field: str, target: float, seen: dict[str, float], wanted: int) -> None:
    assert step(policy(**{field: target}), busy(1, ready=3, **seen), Memory(3)).replicas == wanted


def test_the_one_that_asks_for_most_decides() -> None:
    scaled = policy(concurrency=10, cpu_percent=50)
    assert step(scaled, busy(5, ready=3, cpu_percent=100.0), Memory(3)).replicas == 6


def test_what_cannot_be_seen_takes_nothing_away_but_what_can_be_seen_adds() -> None:
    scaled = policy(concurrency=1, cpu_percent=50, scale_down_seconds=0)
    taken = step(scaled, busy(1, ready=3), Memory(3))
    assert (taken.replicas, taken.reason) == (3, "% of the processor cannot be seen now, so nothing is taken away")
    assert step(scaled, busy(5, ready=3), Memory(3)).replicas == 5


def test_no_latency_without_requests_is_no_need() -> None:
    scaled = policy(latency_ms=20, scale_down_seconds=0)
    assert step(scaled, Seen(now=10.0, ready=3, idle_since=5.0), Memory(3)).replicas == 1
    assert step(scaled, busy(3, ready=3), Memory(3)).replicas == 3


def test_without_targets_the_number_stays() -> None:
    taken = step(policy(), busy(100), Memory(4))
    assert (taken.replicas, taken.reason) == (4, "no target is set")
