"""What a worker knows of its own memory."""

from __future__ import annotations

import os

from shoal.core.clock import Clock

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """The resident memory of this process; 0 where there is no /proc."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0


class Memory:
    """Resident memory, looked up at most every `period` seconds: a look costs as much as a small request.

    Args:
        clock: monotonic seconds.
        period: seconds for which a figure is good enough.
    """

    def __init__(self, clock: Clock, period: float = 0.1) -> None:
        self._clock = clock
        self._period = period
        self._next = float("-inf")
        self._bytes = 0

    def __call__(self) -> int:
        now = self._clock()
        if now >= self._next:
            self._next = now + self._period
            self._bytes = resident_bytes()
        return self._bytes
