"""The loop of scaling: what it sees, and what it changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shoal.core.clock import ManualClock
from shoal.core.service import Autoscaling
from shoal.serving.batching.load import Load
from shoal.serving.hosting.scaling import Look, Scaler
from support.routed_world import World, settle

BOUNDS = (0.001, 0.01, 0.1)


def load(requests: int = 0, in_flight: int = 0, counts: tuple[int, ...] = (0, 0, 0, 0), cpu: float = 0.0) -> Load:
    return Load(in_flight=in_flight, requests=requests, counts=counts, bounds=BOUNDS, cpu_seconds=cpu, ready=2)


def test_rates_medians_and_cpu_are_of_the_time_since_the_last_look() -> None:
    look = Look(100.0)
    first = look.see(load(requests=50, counts=(50, 0, 0, 0)), 101.0)
    assert (first.rate, first.latency_ms, first.cpu_percent) == (None, None, None)
    seen = look.see(load(requests=70, counts=(55, 15, 0, 0), cpu=2.0), 103.0)
    assert seen.rate == pytest.approx(10.0)
    assert seen.latency_ms == pytest.approx(10.0)
    assert seen.cpu_percent == pytest.approx(50.0)


def test_it_is_idle_since_the_last_request_ended() -> None:
    look = Look(0.0)
    look.see(load(in_flight=1), 10.0)
    assert look.see(load(requests=1), 20.0).idle_since == 20.0
    assert look.see(load(requests=1), 90.0).idle_since == 20.0
    assert look.see(load(requests=1, in_flight=1), 95.0).idle_since is None


def test_counters_that_begin_anew_are_no_negative_rate() -> None:
    look = Look(0.0)
    look.see(load(requests=100, counts=(100, 0, 0, 0)), 1.0)
    seen = look.see(load(requests=3, counts=(3, 0, 0, 0)), 2.0)
    assert seen.rate is None


def test_a_busy_service_grows_and_an_idle_one_goes_to_sleep_and_comes_back() -> None:
    async def main() -> None:
        world = World()
        policy = Autoscaling(min_replicas=0, max_replicas=4, concurrency=2.0, idle_seconds=30.0)
        world.control.put("iris", "1", autoscaling=policy)
        await world.call("iris")
        scaler = Scaler(world.models.all, world.models.lifecycle, clock=world.clock)
        runner = world.runners[0]
        runner.seen = load(in_flight=4)
        for _ in range(3):
            await scaler.look()
            world.clock.advance(1.0)
        assert "resize 2" in runner.log
        runner.seen = load(requests=4)
        world.clock.advance(120.0)
        await scaler.look()
        world.clock.advance(120.0)
        await scaler.look()
        await settle()
        assert runner.log[-1] == "drain"
        assert (await world.call("iris")).outcome == b"1"
        await scaler.look()
        assert len(world.runners) == 2

    asyncio.run(main())


def test_cards_that_are_busier_than_asked_for_bring_workers_up_to_the_maximum() -> None:
    async def main() -> None:
        world = World()
        policy = Autoscaling(min_replicas=3, max_replicas=10, gpu_percent=75.0, scale_down_seconds=30.0)
        world.control.put("iris", "1", replicas=3, autoscaling=policy)
        await world.call("iris")
        use = 100.0
        scaler = Scaler(world.models.all, world.models.lifecycle, clock=world.clock, gpu_percent=lambda entry: use)
        runner = world.runners[0]
        for _ in range(12):
            runner.seen = replace(load(), ready=world.models.find("iris").spec.limits.workers)
            await scaler.look()
            world.clock.advance(1.0)
        assert world.models.find("iris").spec.limits.workers == 10
        use = 5.0
        for _ in range(60):
            runner.seen = replace(load(), ready=world.models.find("iris").spec.limits.workers)
            await scaler.look()
            world.clock.advance(1.0)
        assert world.models.find("iris").spec.limits.workers == 3

    asyncio.run(main())


def test_what_was_scaled_to_zero_by_hand_and_woken_sleeps_again_when_idle() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1", replicas=0)
        await world.call("iris")
        scaler = Scaler(world.models.all, world.models.lifecycle, clock=world.clock)
        world.runners[0].seen = load(requests=1)
        await scaler.look()
        world.clock.advance(301.0)
        await scaler.look()
        assert world.runners[0].log[-1] == "drain"

    asyncio.run(main())


def test_services_of_a_fixed_size_are_left_alone() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1", replicas=3)
        await world.call("iris")
        scaler = Scaler(world.models.all, world.models.lifecycle, clock=ManualClock())
        await scaler.look()
        assert world.runners[0].log == ["start"]

    asyncio.run(main())
