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
Write = Callable[[str, str, str, str, dict[str, str | int | float | bool]], None]
"""Takes actor, action, namespace, subject and detail."""


class Denials:
    """See the module. May be used from any thread.

    Args:
        write: leaves a record.
        clock: monotonic.
        rate, burst: records for each second, and how many may come at once.
    """

    def __init__(self, write: Write, *, clock: Clock = monotonic, rate: float = 10.0, burst: float = 200.0) -> None:
        self._write = write
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._lock = threading.Lock()
        self._tokens = burst
        self._at = clock()
        self._left_out = 0

    def record(
        self, actor: str, action: str, namespace: str, subject: str, detail: Mapping[str, str], request: str
    ) -> None:
        """Leave a record, or count it; the caller is denied in any case."""
        if (left_out := self._take()) is None:
            return
        told: dict[str, str | int | float | bool] = {name: _plain(text) for name, text in detail.items()}
        if left_out:
            told["left_out"] = left_out
        try:
            self._write(actor, action, _plain(namespace), _plain(subject), told)
        except ShoalError as error:
            logger.error("a denied attempt cannot be recorded: %s", error, extra={"request_id": request})

    def _take(self) -> int | None:
        """How many were left out since the last one; None: this one is, too."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                self._left_out += 1
                return None
            self._tokens -= 1
            left_out, self._left_out = self._left_out, 0
            return left_out


def _plain(text: str) -> str:
    """Text from outside, such that it can be kept and shown."""
    return "".join(each if each.isprintable() else "�" for each in text[:MAX_TEXT])
