"""Calls that wait for a proxy, or for room in the retry budget, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf

from shoal.serving.hop.sending.dispatch import Pending


class Held:
    """See the module. What has its outcome meanwhile is let go with the next `pump`.

    Args:
        most_bytes: of bodies.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._line: deque[Pending] = deque()
        self._pumping = False

    def __bool__(self) -> bool:
        return bool(self._line)

    def add(self, pending: Pending) -> bool:
        """Let a call wait until its `until`; whether there is room for it."""
        size = len(pending.call.body)
        if self._bytes + size > self._most_bytes:
            return False
        self._line.append(pending)
        self._bytes += size
        return True

    def pump(self, room: Callable[[], bool], send: Callable[[Pending], bool]) -> None:
        """Send what waits, in order, as long as there is room; what cannot be sent now stays."""
        if self._pumping:
            return
        self._pumping = True
        kept: list[Pending] = []
        while self._line and room():
            pending = self._line.popleft()
            if pending.over or send(pending):
                self._bytes -= len(pending.call.body)
            else:
                kept.append(pending)
        self._line.extendleft(reversed(kept))
        self._pumping = False

    def overdue(self, now: float) -> list[Pending]:
        """Those that have waited for too long."""
        return [each for each in self._line if each.until <= now and not each.over]

    @property
    def next(self) -> float:
        """When the next one will have."""
        return min((each.until for each in self._line if not each.over), default=inf)
