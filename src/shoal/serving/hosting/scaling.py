"""The loop that gives services the workers that they need; what they need is said by `core.placement.scaling`.

Once a second each service with autoscaling and workers of its own is looked at. It goes on with control dead, as what
it goes by is measured here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate

from shoal.core.clock import Clock
from shoal.core.placement import scaling
from shoal.core.service import Autoscaling
from shoal.serving.batching.load import Load
from shoal.serving.hosting.entry import Entry
from shoal.serving.hosting.lifecycle import Lifecycle

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks."""


class Look:
    """Turns what a runner has done into what was seen since the last look.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self.memory = scaling.Memory(0)
        self._last: Load | None = None
        self._at = now
        self._busy_at = now

    def see(self, load: Load, now: float, gpu_percent: float | None = None) -> scaling.Seen:
        """What was seen since the last time; the use of cards is told by whoever can see it."""
        last, seconds = self._last, max(now - self._at, 1e-3)
        self._last, self._at = load, now
        fresh = last is None or load.requests < last.requests
        done = 0 if last is None or fresh else load.requests - last.requests
        if done or load.in_flight:
            self._busy_at = now
        counts = (
            load.counts if last is None or fresh else [b - a for a, b in zip(last.counts, load.counts, strict=True)]
        )
        return scaling.Seen(
            now=now,
            ready=load.ready,
            in_flight=load.in_flight,
            rate=None if fresh else done / seconds,
            latency_ms=None if fresh else _median_ms(counts, load.bounds),
            cpu_percent=None if fresh or last is None else _cpu_percent(last, load, seconds),
            gpu_percent=gpu_percent,
            idle_since=None if load.in_flight else self._busy_at,
        )


class Scaler:
    """See the module.

    Args:
        entries: the services there are now.
        lifecycle: changes their workers.
        clock: monotonic seconds.
        sleep: how to wait.
        gpu_percent: the mean use of the cards of a service, where something can tell it.
    """

    def __init__(
        self,
        entries: Callable[[], Iterable[Entry]],
        lifecycle: Lifecycle,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        gpu_percent: Callable[[Entry], float | None] = lambda entry: None,
    ) -> None:
        self._entries = entries
        self._lifecycle = lifecycle
        self._clock = clock
        self._sleep = sleep
        self._gpu_percent = gpu_percent
        self._looks: dict[str, Look] = {}

    async def run(self) -> None:
        """Scale until cancelled."""
        while True:
            await self._sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """Look at all services once, and change what is to be changed."""
        seen: set[str] = set()
        for entry in list(self._entries()):
            policy = _policy(entry)
            if policy is None:
                continue
            seen.add(entry.key[0])
            await self._scale(entry, policy)
        for gone in self._looks.keys() - seen:
            del self._looks[gone]

    async def _scale(self, entry: Entry, policy: Autoscaling) -> None:
        assert entry.runner is not None
        now, workers = self._clock(), entry.spec.limits.workers
        look = self._looks.get(entry.key[0])
        if look is None:
            look = self._looks[entry.key[0]] = Look(now)
            look.memory = scaling.Memory(workers)
        seen = look.see(entry.runner.load(), now, self._gpu_percent(entry))
        step = scaling.step(policy, seen, look.memory)
        look.memory = step.memory
        if step.replicas != workers:
            logger.info("scaling to %s: %s", step.replicas, step.reason, extra={"model": entry.spec.name})
            await self._lifecycle.resize(entry, step.replicas, step.reason)


def _policy(entry: Entry) -> Autoscaling | None:
    """What scales an entry now; None if nothing does, or it is asleep."""
    if entry.runner is None or entry.route is None or entry.spec.placement == "shared":
        return None
    service = entry.route.service
    if service.autoscaling is None and service.replicas == 0:
        return Autoscaling(min_replicas=0, max_replicas=1)
    return service.autoscaling


def _median_ms(counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """The upper bound of the bucket that the median is in; None if there was no request."""
    total = sum(counts)
    if not total:
        return None
    half = total / 2
    index = next(number for number, below in enumerate(accumulate(counts)) if below >= half)
    return 1000.0 * (bounds[index] if index < len(bounds) else 2 * bounds[-1])


def _cpu_percent(last: Load, now: Load, seconds: float) -> float | None:
    if last.cpu_seconds is None or now.cpu_seconds is None or not now.ready or now.cpu_seconds < last.cpu_seconds:
        return None
    return 100.0 * (now.cpu_seconds - last.cpu_seconds) / seconds / now.ready
