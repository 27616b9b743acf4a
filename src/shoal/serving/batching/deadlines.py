"""One timer for the deadlines of all calls.

Only the earliest deadline is known; when it is due, all outstanding calls are looked at once, and the next one is
found on the way. A call that is answered in time costs one comparison. The earliest known deadline may be that of a
call that has long been
answered: then the look finds nothing overdue, which happens once per time-out, not once per call. Whoever looks is
named with each deadline, so that a watch without a timer holds nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

from shoal.core.clock import Clock
from shoal.serving.batching.workers import Loop, Timer

SLACK = 0.002
"""Seconds after a deadline before it is looked at, so that neighbours are found in the same sweep."""
PAUSE = 0.010
"""Seconds between two sweeps at least."""
Sweep = Callable[[float], float]
"""Called with the time; gives overdue calls their outcome and returns the next deadline, or `inf`."""


class DeadlineWatch:
    """See the module.

    Args:
        clock: monotonic seconds.
        loop: for the timer.

    Attributes:
        next: the earliest deadline that is known of; who takes a call with an earlier one calls `look_at`.
    """

    def __init__(self, clock: Clock, loop: Loop) -> None:
        self.next = inf
        self._clock = clock
        self._loop = loop
        self._last = -inf
        self._timer: Timer | None = None

    def look_at(self, deadline: float, sweep: Sweep) -> None:
        """Sweep when this deadline, earlier than all known ones, is over."""
        self.next = deadline
        self.close()
        due = max(deadline + SLACK, self._last + PAUSE)
        self._timer = self._loop.call_later(max(0.0, due - self._clock()), partial(self._due, sweep))

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self, sweep: Sweep) -> None:
        self._timer = None
        self._last = now = self._clock()
        self.next = inf
        upcoming = sweep(now)
        if upcoming < self.next:
            self.look_at(upcoming, sweep)
