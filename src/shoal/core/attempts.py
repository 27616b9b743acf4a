"""How often something has failed under a name, and for how long more of it is not wanted. Pure but for the clock.

A few failures are free: everybody pastes a wrong key once. Each one after that doubles the pause, up to a bound. No
name's pause holds up another one, and memory is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from shoal.core.clock import Clock


class _Failures(NamedTuple):
    times: int
    last: float
    until: float


class Attempts:
    """See the module.

    Args:
        clock: monotonic seconds.
        free: failures without a pause.
        first, longest: seconds of the first pause, and of the longest.
        forget: seconds without a failure after which a name begins anew.
        kept: names that are remembered; the one that failed longest ago goes first.
    """

    def __init__(self, clock: Clock, *, free: int, first: float, longest: float, forget: float, kept: int) -> None:
        self._clock = clock
        self._free = free
        self._first = first
        self._longest = longest
        self._forget = forget
        self._kept = kept
        self._names: OrderedDict[str, _Failures] = OrderedDict()

    def pause(self, name: str) -> float:
        """Seconds that are left of its pause; 0 if there is none."""
        known = self._names.get(name)
        return 0.0 if known is None else max(0.0, known.until - self._clock())

    def failed(self, name: str) -> None:
        """It has failed once more."""
        now = self._clock()
        known = self._names.pop(name, None)
        times = 1 if known is None or now - known.last > self._forget else known.times + 1
        over = times - self._free
        pause = min(self._longest, self._first * 2.0 ** min(over - 1, 60)) if over > 0 else 0.0
        self._names[name] = _Failures(times, now, now + pause)
        if len(self._names) > self._kept:
            self._names.popitem(last=False)

    def __len__(self) -> int:
        return len(self._names)
