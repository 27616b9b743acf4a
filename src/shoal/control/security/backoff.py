"""Those who fail again and again are told to wait, each time longer.

A failure counts against every name that it is told with: the address that it came from, and the key that it claimed to
be. Only failures are held up: whoever shows the right key is let in at once, whatever others do from the same address
or with the same id. There is nothing to guess in 256 bits; what this saves is the log and the disk.
"""

from __future__ import annotations

import threading

from shoal.core.attempts import Attempts
from shoal.core.clock import Clock, monotonic


class Backoff:
    """See the module. It may be asked from any thread.

    Args:
        clock: monotonic.
        free, base, longest, forget, entries: see `core.attempts.Attempts`; `base` is the first pause.
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
        self._lock = threading.Lock()
        self._attempts = Attempts(clock, free=free, first=base, longest=longest, forget=forget, kept=entries)

    def failed(self, *names: str) -> float:
        """Note a failure; the seconds that remain of a wait that was not waited for, 0 if there was none."""
        with self._lock:
            left = max(map(self._attempts.pause, names), default=0.0)
            if left <= 0:
                for name in names:
                    self._attempts.failed(name)
            return left

    def __len__(self) -> int:
        return len(self._attempts)
