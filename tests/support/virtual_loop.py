"""An event loop that is turned by hand: time moves only when a test says so, and nothing sleeps."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable

from shoal.core.clock import ManualClock


class VirtualTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualLoop:
    """Implements `shoal.serving.batching.workers.Loop` on a `ManualClock`."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self._soon: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, VirtualTimer]] = []
        self._numbers = itertools.count()

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self._soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], object], /) -> VirtualTimer:
        timer = VirtualTimer(callback)
        heapq.heappush(self._timers, (self.clock.now + max(0.0, delay), next(self._numbers), timer))
        return timer

    def turn(self) -> None:
        """Run what is due now, without moving the time."""
        while self._soon:
            self._soon.popleft()()
        while self._timers and self._timers[0][0] <= self.clock.now:
            self._run(heapq.heappop(self._timers)[2])

    def advance(self, seconds: float) -> None:
        """Move the time, and run everything that is due on the way at its own time."""
        end = self.clock.now + seconds
        self.turn()
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self.clock.now = max(self.clock.now, when)
            self._run(timer)
        self.clock.now = end
        self.turn()

    @property
    def timers(self) -> int:
        """Timers that are set."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def _run(self, timer: VirtualTimer) -> None:
        callback, timer.callback = timer.callback, None
        if callback is not None:
            callback()
        while self._soon:
            self._soon.popleft()()
