"""Whether one more call may wait: bounds by rows, by bytes and by time. Pure.

Shedding at once, while the caller can still go elsewhere, is kinder than letting a call wait for nothing; so a call
is also shed when, at the pace measured of late, its time will be over before its turn. An empty queue takes any call:
that is how the pace gets measured again.
"""

from __future__ import annotations

from typing import Protocol

from shoal.core.call import Call
from shoal.core.errors import Overloaded
from shoal.core.model import Batching

PACE_WEIGHT = 0.2
"""Weight of a new measurement of the seconds per row; one that is far above the others counts as twice the pace."""
PACE_SAMPLES = 8
"""Full batches after which the pace is believed."""
LONGEST_RETRY = 60.0
"""Seconds; the longest wait that is ever advised."""
SHORTEST_RETRY = 0.1

EASY_SECONDS = 0.01
"""A queue that is gone after so long refuses nobody, whatever the deadlines: they are not looked at."""
EASY_ROWS = 64
EASY_BYTES = 1024 * 1024

AHEAD = 3
"""Batches that a worker has yet to run when a call leaves the queue: two that were sent before, and its own."""


class Held(Protocol):
    """What waits already."""

    rows: int
    bytes: int


class Admission:
    """See the module.

    Args:
        settings: whose bounds hold.
        parallel: workers that share the load.

    Attributes:
        easy_rows, easy_bytes: up to so much may wait without asking `refusal` for a small call.
    """

    def __init__(self, settings: Batching, parallel: int = 1) -> None:
        self._parallel = parallel
        self._pace = 0.0
        self._batch_seconds = 0.0
        self._samples = 0
        self.configure(settings)

    def share(self, parallel: int) -> None:
        """So many workers share the load from now on."""
        self._pace *= self._parallel / parallel
        self._parallel = parallel
        self._ease()

    def configure(self, settings: Batching) -> None:
        """Keep to these bounds from now on."""
        self.settings = settings
        self._ease()

    def _ease(self) -> None:
        """Work out how short a queue need not be looked at."""
        rows = min(EASY_ROWS, self.settings.queue_rows - EASY_ROWS)
        if self._samples >= PACE_SAMPLES:
            left = EASY_SECONDS - AHEAD * self._batch_seconds
            rows = min(rows, int(left / self._pace) if self._pace else rows)
        self.easy_rows = rows
        self.easy_bytes = min(EASY_BYTES, self.settings.queue_bytes - EASY_BYTES)

    @property
    def row_seconds(self) -> float:
        """The pace: seconds until the queue is one row shorter, as measured under load; 0 until it is known."""
        return self._pace if self._samples >= PACE_SAMPLES else 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A full batch of `rows` kept its worker busy for so long (others say little of what is possible)."""
        pace = seconds / max(rows, 1) / self._parallel
        if not self._samples:
            self._pace, self._batch_seconds = pace, seconds
        self._pace += PACE_WEIGHT * (min(pace, 2 * self._pace) - self._pace)
        self._batch_seconds += PACE_WEIGHT * (min(seconds, 2 * self._batch_seconds) - self._batch_seconds)
        self._samples += 1
        self._ease()

    def refusal(self, held: Held, call: Call, *, busy: bool) -> Overloaded | None:
        """Why the call may not wait as well, or None. `busy`: no worker has room now."""
        if not held.rows:
            return None
        settings = self.settings
        if held.rows + call.rows > settings.queue_rows:
            return self._overloaded(held, f"{held.rows} rows wait already")
        if held.bytes + len(call.body) > settings.queue_bytes:
            return self._overloaded(held, f"{held.bytes} bytes wait already")
        if busy and call.level > 0 and self._samples >= PACE_SAMPLES and self._comes_too_late(held, call):
            return self._overloaded(held, "its turn would come too late")
        return None

    def _comes_too_late(self, held: Held, call: Call) -> bool:
        """Whether it would be answered after its deadline, or wait longer than anybody may."""
        wait = held.rows * self._pace
        bound = self.settings.queue_seconds
        return wait + AHEAD * self._batch_seconds > call.deadline - call.arrived or (bound is not None and wait > bound)

    def waited_too_long(self, call: Call, now: float) -> Overloaded | None:
        """Why a call that waits is shed after all, or None."""
        bound = self.settings.queue_seconds
        if bound is None or now - call.arrived < bound:
            return None
        return Overloaded(f"it waited longer than {bound:g} seconds", retry_after=1.0)

    def _overloaded(self, held: Held, why: str) -> Overloaded:
        retry_after = min(max(held.rows * self.row_seconds, SHORTEST_RETRY), LONGEST_RETRY)
        return Overloaded(f"the model has too much to do: {why}", retry_after=retry_after)
