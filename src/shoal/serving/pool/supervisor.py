"""When a worker that died is started again, and when to call it a crash loop. Pure: no process, no timer.

    STARTING ──▶ READY ──▶ DRAINING ──▶ DEAD
        │          └──────────────────▶ DEAD      DEAD ──▶ BACKING_OFF ──▶ STARTING
        └─────────────────────────────▶ DEAD

A worker that had been ready comes back at once (within `READY_DELAY`), more slowly if that goes on; one that dies
while it loads comes back with doubling delays. After `CRASH_LOOP` such deaths in a row the model counts as failed; it
is still tried at the slowest pace, so that a full disk that was emptied heals by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

CRASH_LOOP = 5
"""Deaths in a row while loading after which the model is called failed."""
FIRST_DELAY = 0.25
"""Seconds of back-off after the first death while loading."""
LAST_DELAY = 30.0
"""Seconds of back-off at most."""
READY_DELAY = 0.5
"""Seconds of back-off at most after the death of a worker that had been ready."""
CALM = 30.0
"""Seconds of work after which earlier deaths are forgotten."""


class WorkerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"
    BACKING_OFF = "backing_off"


NEXT: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.STARTING: frozenset({WorkerState.READY, WorkerState.DEAD}),
    WorkerState.READY: frozenset({WorkerState.DRAINING, WorkerState.DEAD}),
    WorkerState.DRAINING: frozenset({WorkerState.DEAD}),
    WorkerState.DEAD: frozenset({WorkerState.BACKING_OFF, WorkerState.STARTING}),
    WorkerState.BACKING_OFF: frozenset({WorkerState.STARTING}),
}


def may_follow(now: WorkerState, then: WorkerState) -> bool:
    """Whether a worker in state `now` may go to state `then`."""
    return then in NEXT[now]


class Supervisor:
    """Remembers the deaths of one place in a pool.

    Args:
        random: numbers in [0, 1), for the jitter.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._ready_since: float | None = None
        self.load_deaths = 0
        self.deaths = 0

    @property
    def failed(self) -> bool:
        """Whether this is a crash loop."""
        return self.load_deaths >= CRASH_LOOP

    def ready(self, now: float) -> None:
        """The worker has loaded its model."""
        self._ready_since = now
        self.load_deaths = 0

    def died(self, now: float) -> float:
        """The worker is no more; how many seconds to wait before the next one is started."""
        if self._ready_since is None:
            self.load_deaths += 1
            return self._jittered(min(LAST_DELAY, FIRST_DELAY * 2 ** min(self.load_deaths - 1, 16)))
        calm = now - self._ready_since >= CALM
        self._ready_since = None
        self.deaths = 1 if calm else self.deaths + 1
        return self._jittered(min(READY_DELAY, 0.01 * 2 ** min(self.deaths - 1, 16)))

    def _jittered(self, delay: float) -> float:
        return delay * (0.5 + 0.5 * self._random())
