"""Trying again what may work a moment later: a bounded number of times, ever later, never all at the same moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shoal.core.errors import Unavailable

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when.

    Attributes:
        attempts: in all; 1 tries once.
        base_seconds: the most that is waited before the second attempt; doubles from then on.
        most_seconds: the most that is ever waited.
        sleep: how to wait.
        chance: a number from 0 to 1, by which each wait is shortened.
    """

    attempts: int = 3
    base_seconds: float = 0.1
    most_seconds: float = 2.0
    sleep: Callable[[float], object] = time.sleep
    chance: Callable[[], float] = random.random

    def wait(self, failed: int) -> float:
        """Seconds to wait after so many failed attempts (at least 1)."""
        most: float = min(self.most_seconds, self.base_seconds * 2 ** min(failed - 1, 30))
        return most * (0.5 + 0.5 * self.chance())

    def call(self, action: Callable[[], Result]) -> Result:
        """The action's result, tried again while something is unavailable.

        Raises:
            ShoalError: the last attempt's error, or the first that is not `Unavailable`.
        """
        for failed in range(1, self.attempts):
            try:
                return action()
            except Unavailable as error:
                self.sleep(max(self.wait(failed), min(error.retry_after or 0.0, self.most_seconds)))
        return action()
