"""Sparing a source that is down: after some failures in a row nobody waits for it, but for one who looks now and then.

closed ──failures in a row──▶ open ──after a while──▶ one tries ──success──▶ closed
                                ▲──────────failure──────┘
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from shoal.core.errors import Unavailable

Result = TypeVar("Result")


class Circuit:
    """Counts failures that may pass, over all threads.

    Args:
        failures: in a row, after which nobody is let through.
        seconds: until somebody may look again.
        clock: monotonic seconds.
    """

    def __init__(self, failures: int = 5, seconds: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._guard = threading.Lock()
        self._failed = 0
        self._until = 0.0

    def call(self, action: Callable[[], Result]) -> Result:
        """The action's result.

        Raises:
            Unavailable: of the action, or at once: it has just failed too often.
        """
        self._enter()
        try:
            result = action()
        except Unavailable:
            self._note(failed=True)
            raise
        except BaseException:
            self._note(failed=False)
            raise
        self._note(failed=False)
        return result

    def _enter(self) -> None:
        with self._guard:
            now = self._clock()
            if self._failed < self._limit:
                return
            if now < self._until:
                hint = "what is cached on this machine is served; the store is asked again in a moment"
                left = self._until - now
                raise Unavailable("the artifact store has just failed several times", hint=hint, retry_after=left)
            self._until = now + self._seconds

    def _note(self, *, failed: bool) -> None:
        with self._guard:
            self._failed = self._failed + 1 if failed else 0
            if self._failed >= self._limit:
                self._until = self._clock() + self._seconds
