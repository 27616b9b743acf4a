"""Time as an argument.

Durations and deadlines are monotonic seconds (`float`). Whoever needs the time takes a `Clock`, so that tests run on
`ManualClock` and never sleep. On Linux the monotonic clock is one for the whole machine, so a deadline may travel to
another process of the same machine as it is; between machines it travels as the time that is left.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]

monotonic: Clock = time.monotonic


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
