"""The load generator in time that only moves when told to."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.client.load import DROPPED, Recorder, arrivals, run_closed, run_open
from shoal.core.clock import ManualClock
from shoal.core.errors import Overloaded


@given(st.floats(0.5, 2000), st.floats(0.01, 5), st.sampled_from(["poisson", "constant"]), st.integers())
def test_arrivals_ascend_and_end_in_time(rate: float, seconds: float, kind: str, seed: int) -> None:
    offsets = list(arrivals(rate, seconds, kind=kind, rng=Random(seed)))
    assert offsets == sorted(offsets)
    assert all(0 <= offset < seconds for offset in offsets)


@given(st.integers(1, 500), st.integers(1, 10))
def test_constant_arrivals_are_as_many_as_asked_for(rate: int, seconds: int) -> None:
    assert len(list(arrivals(rate, seconds, kind="constant"))) == rate * seconds


def test_poisson_arrivals_keep_the_rate() -> None:
    count = len(list(arrivals(1000, 20, rng=Random(7))))
    assert abs(count - 20_000) < 5 * 20_000**0.5


def test_an_open_loop_counts_from_the_intended_time() -> None:
    """A server that stalls for a second at the first of ten requests costs the others their wait as well."""

    async def scenario() -> Recorder:
        clock = ManualClock()
        recorder = Recorder(clock)
        freed = asyncio.Event()

        async def send() -> None:
            await freed.wait()

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)
            await asyncio.sleep(0)

        async def stall() -> None:
            while recorder.sent < 10:
                await asyncio.sleep(0)
            clock.advance(1.0)
            freed.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(stall())
            await run_open(send, arrivals(100, 0.1, kind="constant"), recorder, clock=clock, sleep=sleep)
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.ok == 10
    assert recorder.latency.max == pytest.approx(1.089)
    assert recorder.latency.percentile(1) == pytest.approx(1.0, rel=0.01)


def test_an_open_loop_that_is_late_itself_counts_its_lateness() -> None:
    async def scenario() -> Recorder:
        clock = ManualClock()
        recorder = Recorder(clock)
        stalls = iter([0.5])

        async def send() -> None:
            return None

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(0)
            clock.advance(next(stalls, seconds))

        await run_open(send, [0.1, 0.2, 0.9], recorder, clock=clock, sleep=sleep)
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.latency.max == pytest.approx(0.4)
    assert recorder.latency.percentile(50) == pytest.approx(0.3, rel=0.01)
    assert recorder.latency.min == 0


def test_an_open_loop_does_not_pile_up_without_end() -> None:
    async def scenario() -> Recorder:
        recorder = Recorder()
        freed = asyncio.Event()

        async def send() -> None:
            await freed.wait()

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(0)
            if recorder.errors[DROPPED] == 4:
                freed.set()

        await run_open(send, [0.0] * 20, recorder, sleep=sleep, most_in_flight=15)
        return recorder

    recorder = asyncio.run(scenario())
    assert (recorder.ok, recorder.errors[DROPPED]) == (15, 5)


def test_errors_are_counted_by_code_and_do_not_end_the_run() -> None:
    async def scenario() -> Recorder:
        clock = ManualClock()
        recorder = Recorder(clock)

        async def send() -> None:
            clock.advance(0.1)
            await asyncio.sleep(0)
            if recorder.sent % 2:
                raise Overloaded("too many")

        await run_closed(send, 1, 1.0, recorder, clock=clock)
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.ok == 5
    assert recorder.errors == {"overloaded": 5 + (recorder.sent - 10)}
    assert recorder.samples == {"overloaded": "too many"}
    assert recorder.elapsed == pytest.approx(recorder.sent * 0.1)
    assert recorder.throughput == pytest.approx(recorder.ok / recorder.elapsed)
