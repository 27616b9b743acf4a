"""Watches how full a node's memory is, and has its models stop in stages what they can do without.

What counts is the larger of two: the node's memory against its limit, and the bytes of all requests that wait for
workers against what may wait. Which stage that is, `core.pressure` says; what a batcher stops, `batching.waiting`. At
the last stage half of the largest queue is shed with each look, so a single model's flood goes first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from shoal.core.clock import Clock
from shoal.core.metrics import Metrics
from shoal.core.pressure import Pressure, Stage
from shoal.node.memory import Used

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25


class Queue(Protocol):
    """The batcher of a model."""

    @property
    def waiting_bytes(self) -> int: ...

    def strain(self, stage: Stage) -> None: ...

    def shed(self, bytes: int) -> None: ...


class PressureWatch:
    """See the module.

    Args:
        queues: those of all models in memory.
        shrink: makes caches small, or as large as they were.
        used: the part of the memory that is taken.
        waiting: bytes of requests that may wait together.
        metrics: of the process.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        queues: Callable[[], Iterable[Queue]],
        shrink: Callable[[bool], None],
        *,
        used: Used,
        waiting: int,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queues = queues
        self._shrink = shrink
        self._used = used
        self._waiting = waiting
        self._clock = clock
        self._pressure = Pressure()
        self._stage = metrics.gauge(
            "shoal_memory_pressure", "0: calm; 1: batch and shadow are refused; 2: small queues; 3: queues are shed."
        ).labels()
        self._part = metrics.gauge(
            "shoal_memory_used_ratio", "Memory, or bytes that wait, against what there may be: the larger of both."
        ).labels()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look again and again."""
        while True:
            await sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """See how full it is, and tell everybody who has to know."""
        queues = list(self._queues())
        waiting = sum(queue.waiting_bytes for queue in queues)
        before = self._pressure.stage
        used = self._part.value = max(self._used(), waiting / self._waiting)
        stage = self._pressure.observe(used, self._clock())
        if stage is before is Stage.CALM:
            return
        for queue in queues:  # also those that have come since
            queue.strain(stage)
        if stage is not before:
            self._changed(before, stage, used)
        if stage is Stage.CRITICAL:
            largest = max(queues, key=lambda queue: queue.waiting_bytes, default=None)
            if largest is not None:
                largest.shed(largest.waiting_bytes // 2)

    def _changed(self, before: Stage, stage: Stage, used: float) -> None:
        self._stage.value = stage
        if (before >= Stage.TIGHT) != (stage >= Stage.TIGHT):
            self._shrink(stage >= Stage.TIGHT)
        logger.log(
            logging.WARNING if stage > before else logging.INFO,
            "memory pressure: %s",
            stage.name.lower(),
            extra={"before": before.name.lower(), "used": round(used, 3)},
        )
