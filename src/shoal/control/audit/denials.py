"""Records of what somebody wanted and may not.

Whoever can reach the port can cause them, so their number is bounded by a rate: what goes beyond it is counted, and the
next record says how many there were. Nothing that was done is ever left out; those records are of the registry itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ShoalError

logger = logging.getLogger(__name__)

MAX_TEXT = 300
RATE, BURST = 10.0, 200.0
"""Records for each second, and how many may come at once."""
Write = Callable[[str, str, str, str, dict[str, str | int | float | bool]], None]
"""Takes actor, action, namespace, subject and detail."""


class Allowance:
    """So many records in a time; those beyond it are counted.

    Args:
        clock: monotonic.
        rate, burst: records for each second, and how many may come at once.

    Attributes:
        left_out: attempts that were left out since the last record.
    """

    def __init__(self, clock: Clock, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = clock()
        self.left_out = 0

    def take(self, count: int = 1) -> int | None:
        """One record of so many attempts: how many were left out before it; None: these are, too."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.left_out += count
            return None
        self._tokens -= 1
        left_out, self.left_out = self.left_out, 0
        return left_out


class Denials:
    """See the module. May be used from any thread.

    Args:
        write: leaves a record.
        clock: monotonic.
        rate, burst: records for each second, and how many may come at once.
    """

    def __init__(self, write: Write, *, clock: Clock = monotonic, rate: float = RATE, burst: float = BURST) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._allowance = Allowance(clock, rate, burst)

    def record(
        self, actor: str, action: str, namespace: str, subject: str, detail: Mapping[str, str], request: str
    ) -> None:
        """Leave a record, or count it; the caller is denied in any case."""
        with self._lock:
            left_out = self._allowance.take()
        if left_out is None:
            return
        told: dict[str, str | int | float | bool] = {name: plain(text) for name, text in detail.items()}
        if left_out:
            told["left_out"] = left_out
        try:
            self._write(actor, action, plain(namespace), plain(subject), told)
        except ShoalError as error:
            logger.error("a denied attempt cannot be recorded: %s", error, extra={"request_id": request})


def plain(text: str) -> str:
    """Text from outside, such that it can be kept and shown."""
    return "".join(each if each.isprintable() else "�" for each in text[:MAX_TEXT])
