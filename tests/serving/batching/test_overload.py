"""Three times the load that the model can carry, open loop, in virtual time: most of what can be done is done in time."""

from __future__ import annotations

import random

import pytest

from shoal.core.errors import Overloaded
from shoal.core.model import Batching
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
