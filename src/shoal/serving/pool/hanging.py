"""Notices a worker whose job takes longer than it may.

One timer serves all jobs: it is set again only while there are any, and earlier only for a job of a shorter limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from shoal.core.clock import Clock

HANG_GRACE = 0.25
"""Seconds above the limit after which a job counts as hung."""


class HangWatch:
    """See the module.

    Args:
        on_hang: called when the job at work has had its time.
        clock: monotonic seconds.
    """

    def __init__(self, on_hang: Callable[[], None], clock: Clock) -> None:
        self._on_hang = on_hang
        self._clock = clock
        self._due = inf
        self._set_for = inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """A job that may run for so long is at work from now on."""
        now = self._clock()
        self._due = now + seconds + HANG_GRACE
        if self._due < self._set_for:
            self._set(now)

    def rest(self) -> None:
        """No job is at work."""
        self._due = inf

    def close(self) -> None:
        """End the timer."""
        self._due = inf
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._set_for = self._due
        self._timer = asyncio.get_running_loop().call_later(max(self._due - now, 0.001), self._look)

    def _look(self) -> None:
        self._timer, self._set_for = None, inf
        now = self._clock()
        if self._due <= now:
            self._on_hang()
        elif self._due < inf:
            self._set(now)
