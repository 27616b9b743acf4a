"""Whether one more call may wait: bounds by rows, by bytes and by time. Pure.

Shedding at once, while the caller can still go elsewhere, is kinder than letting a call wait for nothing; so a call
is also shed when, at the pace measured of late, its time will be over before its turn. What counts is what goes before
it: neither the backlog of a greedy tenant nor one of less urgent calls keeps others out. An empty queue takes any call:
that is how the pace gets measured again.
"""

from __future__ import annotations

from typing import Protocol

from shoal.core.call import Call
from shoal.core.errors import Overloaded
from shoal.core.model import Batching
from shoal.core.pressure import Stage

PACE_WEIGHT = 0.2
"""Weight of a new measurement of the seconds per row; one that is far above the others counts as twice the pace."""
PACE_SAMPLES = 8
"""Full batches after which the pace is believed."""
SQUEEZE = 4
"""By how much queues are smaller while memory is tight."""
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

    def ahead(self, call: Call) -> float:
        """Rows that would go before the call."""


class Admission:
    """See the module.

    Args:
        settings: whose bounds hold.
        parallel: workers that share the load.

    Attributes:
        easy_rows, easy_bytes: up to so much may wait without asking whether a small call may.
    """

    def __init__(self, settings: Batching, parallel: int = 1) -> None:
        self._parallel = parallel
        self._pace = 0.0
        self._batch_seconds = 0.0
        self._batch_rows = 1.0
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
            self._pace, self._batch_seconds, self._batch_rows = pace, seconds, float(max(rows, 1))
        self._pace += PACE_WEIGHT * (min(pace, 2 * self._pace) - self._pace)
        self._batch_seconds += PACE_WEIGHT * (min(seconds, 2 * self._batch_seconds) - self._batch_seconds)
        self._batch_rows += PACE_WEIGHT * (max(rows, 1) - self._batch_rows)
        self._samples += 1
        self._ease()

    def reconsider(self, rows: int, seconds: float) -> None:
        """A batch that was not full took so long: a full one takes no longer by the row. What was learned when all was
        slower is forgotten so, though too few calls are let in for a batch to be full."""
        pace, batch = seconds / max(rows, 1) / self._parallel, seconds * self._batch_rows / max(rows, 1)
        if pace < self._pace or batch < self._batch_seconds:
            self._pace += PACE_WEIGHT * (min(pace, self._pace) - self._pace)
            self._batch_seconds += PACE_WEIGHT * (min(batch, self._batch_seconds) - self._batch_seconds)
            self._ease()

    def full(self, held: Held, call: Call, stage: Stage = Stage.CALM) -> Overloaded | None:
        """Why there is no room for the call, or None."""
        settings = self.settings
        if not held.rows:
            return None
        if held.rows + call.rows > settings.queue_rows:
            return self.overloaded(held.rows, f"{held.rows} rows wait already")
        if held.bytes + len(call.body) > settings.queue_bytes / (1 if stage < Stage.TIGHT else SQUEEZE):
            return self.overloaded(held.rows, f"{held.bytes} bytes wait already")
        return None

    def late(self, held: Held, call: Call, now: float, turn: float = 0.0) -> Overloaded | None:
        """Why the call would wait in vain while all workers are busy, or None.

        Args:
            held: what waits already.
            call: that would wait, too.
            now: monotonic seconds.
            turn: seconds that each batch waits for those of other models in the same worker.
        """
        if call.level <= 0:
            return None
        time = call.deadline - now
        if turn > time:
            return self.overloaded(held.rows, "other models in its worker come first", least=turn - time)
        if not held.rows or self._samples < PACE_SAMPLES:
            return None
        ahead = held.ahead(call)
        pace, bound = self._pace, self.settings.queue_seconds
        if turn:
            pace = max(pace, turn / self._batch_rows)
        wait = ahead * pace
        if wait + turn + AHEAD * self._batch_seconds > time or (bound is not None and wait > bound):
            return self.overloaded(ahead, "its turn would come too late", least=wait)
        return None

    def waited_too_long(self, call: Call, now: float) -> Overloaded | None:
        """Why a call that waits is shed after all, or None."""
        bound = self.settings.queue_seconds
        if bound is None or now - call.arrived < bound:
            return None
        return Overloaded(f"it waited longer than {bound:g} seconds", retry_after=1.0)

    def overloaded(self, rows: float, why: str, *, least: float = 0.0) -> Overloaded:
        """The error of a call that is shed with so many rows before it; `least` are seconds until it makes sense."""
        retry_after = min(max(rows * self.row_seconds, least, SHORTEST_RETRY), LONGEST_RETRY)
        return Overloaded(f"the model has too much to do: {why}", retry_after=retry_after)
