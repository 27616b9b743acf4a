"""Those who fail again and again are told to wait, each time longer. Pure but for the clock; bounded memory.

A failure counts against every name that it is told with: the address that it came from, and the key that it claimed to
be. Only failures are held up: whoever shows the right key is let in at once, whatever others do from the same address
or with the same id. There is nothing to guess in 256 bits; what this saves is the log and the disk.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from shoal.core.clock import Clock, monotonic


@dataclass(slots=True)
class _Entry:
    """Failures under one name: how many, the last one's time, and until when further ones are to wait."""

    count: int = 0
    last: float = 0.0
    until: float = 0.0


class Backoff:
    """See the module.

    Args:
        clock: monotonic.
        free: failures that cost nothing.
        base, longest: seconds of the first wait, and of the longest; each doubles the one before.
        forget: seconds without a failure after which a name is as good as new.
        entries: names that are remembered; those that failed longest ago go first.
    """

    def __init__(
        self,
        clock: Clock = monotonic,
        *,
        free: int = 5,
        base: float = 1.0,
        longest: float = 60.0,
        forget: float = 600.0,
        entries: int = 10_000,
    ) -> None:
        self._clock = clock
        self._free = free
        self._base = base
        self._longest = longest
        self._forget = forget
        self._entries = entries
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Entry] = OrderedDict()

    def failed(self, *names: str) -> float:
        """Note a failure; the seconds that remain of a wait that was not waited for, 0 if there was none."""
        with self._lock:
            now = self._clock()
            left = max((self._left(name, now) for name in names), default=0.0)
            if left <= 0:
                for name in names:
                    self._count(name, now)
            return max(0.0, left)

    def __len__(self) -> int:
        return len(self._known)

    def _left(self, name: str, now: float) -> float:
        entry = self._known.get(name)
        return entry.until - now if entry else 0.0

    def _count(self, name: str, now: float) -> None:
        entry = self._known.pop(name, None)
        if entry is None or now - entry.last > self._forget:
            entry = _Entry()
        entry.count, entry.last = entry.count + 1, now
        if (over := entry.count - self._free) > 0:
            entry.until = now + min(self._longest, self._base * 2.0 ** min(over - 1, 60))
        self._known[name] = entry
        if len(self._known) > self._entries:
            self._known.popitem(last=False)
