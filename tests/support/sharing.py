"""A shared pool with real worker processes, and models in it that can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shoal.core.metrics import Metrics
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.pool.shared.pool import SharedPool
from shoal.serving.pool.shared.seat import Seat
from shoal.serving.pool.shared.sharing import SharedSettings
from support.running import FAKE_WORKER, Running, children, descriptors


class Sharing:
    """A started pool and the models that were given a seat."""

    def __init__(self, pool: SharedPool, instruments: Instruments) -> None:
        self.pool = pool
        self.instruments = instruments
        self.models: list[Running] = []
        self.evicted: list[tuple[str, str]] = []

    async def model(self, name: str, *, start: bool = True, all_ready: bool = False, **fields: Any) -> Running:
        """A model of the pool, ready to be asked."""
        spec = {"path": "/nowhere", "runtime": "python", "placement": "shared", "batching": Batching(), **fields}
        seat = self.pool.seat(ModelSpec(name=name, limits=spec.pop("limits", Limits()), **spec))
        seat.on_evicted = lambda reason: self.evicted.append((name, reason))
        model = Running(ModelRunner(seat.spec, instruments=self.instruments, workers=seat), self.instruments)
        self.models.append(model)
        if start:
            await model.runner.start(all_ready=all_ready)
        return model

    async def until(self, condition: Any, seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def pids(self) -> list[int]:
        """The workers that take jobs."""
        return [place.member.pid for place in self.pool.places if place.member is not None and place.member.pid]

    def resident(self) -> list[str]:
        """The keys of what is in memory."""
        return sorted(resident.key for place in self.pool.places for resident in place.residents)

    def deaths(self, name: str) -> dict[str, int]:
        """Deaths of workers that were put down to a model, by reason."""
        children = self.instruments.restarts.children.items()
        return {labels[2]: int(child.value) for labels, child in children if labels[0] == name}


def seat_of(model: Running) -> Seat:
    seat = model.runner.pool
    assert isinstance(seat, Seat)
    return seat


@asynccontextmanager
async def make_pool(*, command: tuple[str, ...] = FAKE_WORKER, **settings: Any) -> AsyncIterator[Sharing]:
    """A pool that is stopped at the end, and has left nothing behind."""
    before, others = descriptors(), set(children())
    pool = SharedPool("shared", SharedSettings(**settings), command=command)
    sharing = Sharing(pool, Instruments(Metrics()))
    try:
        await pool.start()
        yield sharing
    finally:
        for model in sharing.models:
            await model.runner.stop()
        await pool.stop()
        assert set(children()) <= others, "a worker is left"
        await sharing.until(lambda: len(descriptors() - before) == 0, 1.0)
