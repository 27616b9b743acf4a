"""Callers of whom each waits for its answer before it asks again, in virtual time: in how many batches they are served."""

from __future__ import annotations

import random

import pytest

from shoal.core.model import Batching
from support.calls import RecordedCall
from support.fake_workers import Bench, TimedWorkers

SECONDS = 2.0


class Caller(RecordedCall):
    """Asks again `pause()` seconds after its answer."""

    __slots__ = ("again",)

    def on_answer(self, body: bytes, json_length: int) -> None:
        super().on_answer(body, json_length)
        self.again()


@pytest.mark.parametrize("callers", [16, 48, 64])
@pytest.mark.parametrize("spread", [0.0002, 0.0005], ids=["together", "scattered"])
def test_callers_are_served_in_two_batches_by_turns_however_their_requests_come_in(callers: int, spread: float) -> None:
    """One half of them is at work while the other one comes in. A third batch, small and sent early, would cost all of
    them: each batch costs the worker 2 ms, whatever is in it."""
    chance = random.Random(callers)
    bench = Bench(Batching(max_size=32), workers=lambda loop: TimedWorkers(loop, lambda rows: 0.002 + 0.00003 * rows))

    def ask() -> None:
        call = Caller(0, arrived=bench.clock.now)
        call.again = lambda: bench.loop.call_later(0.0003 + chance.uniform(0, spread), ask)
        bench.batcher.submit(call)

    for _ in range(callers):
        bench.loop.call_later(chance.uniform(0, 0.005), ask)
    bench.loop.advance(SECONDS)
    sizes = bench.workers.sizes
    assert sum(sizes) / len(sizes) > 0.4 * callers
