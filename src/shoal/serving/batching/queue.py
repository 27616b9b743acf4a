"""The calls that wait, by priority, with exact accounts of their rows and bytes.

Levels share the workers by weight (each level twice the next one), by start-time fair queueing: the urgent ones get
most, and none starves. Within a level it is first come, first served. A call that got its outcome while it waited
(cancelled, out of time) frees its rows, bytes and body at once; its empty entry is dropped later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from math import inf

from shoal.core.call import Call, State

LEVELS = 4
"""Priority classes; larger numbers count as the last."""
WEIGHTS = (8.0, 4.0, 2.0, 1.0)
"""Shares of the levels when all of them wait."""
COMPACT = 64
"""Empty entries that are tolerated before any clean-up."""

_DONE = State.DONE
_DISPATCHED = State.DISPATCHED
_QUEUED = State.QUEUED


class CallQueue:
    """See the module.

    Attributes:
        rows, bytes: of the calls that wait.
    """

    __slots__ = ("_empty", "_levels", "_served", "_virtual", "bytes", "rows")

    def __init__(self) -> None:
        self._levels: tuple[deque[Call], ...] = tuple(deque() for _ in range(LEVELS))
        self._served = [0.0] * LEVELS
        self._virtual = 0.0
        self._empty = 0
        self.rows = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[Call]:
        """All calls that wait; do not change the queue meanwhile."""
        return (call for level in self._levels for call in level if call.state is _QUEUED)

    def append(self, call: Call) -> None:
        """Put a call last in its level."""
        at = call.level if 0 <= call.level < LEVELS else LEVELS - 1
        level = self._levels[at]
        if not level and self._served[at] < self._virtual:
            self._served[at] = self._virtual
        level.append(call)
        self.rows += call.rows
        self.bytes += len(call.body)

    def put_back(self, calls: list[Call]) -> None:
        """Put calls that were taken first in their levels, in their order."""
        for call in reversed(calls):
            if call.state is _DONE:
                continue
            call.state = _QUEUED
            self._levels[call.level if 0 <= call.level < LEVELS else LEVELS - 1].appendleft(call)
            self.rows += call.rows
            self.bytes += len(call.body)

    def release(self, call: Call) -> None:
        """A waiting call has got its outcome: give back what it holds."""
        self.rows -= call.rows
        self.bytes -= len(call.body)
        call.rows = 0
        call.body = b""
        self._empty += 1
        if self._empty > COMPACT and self._empty * 2 > sum(map(len, self._levels)):
            self._compact()

    def _compact(self) -> None:
        for level in self._levels:
            kept = [call for call in level if call.state is not _DONE]
            level.clear()
            level.extend(kept)
        self._empty = 0

    def take(self, limit: int, now: float, expired: Callable[[Call], None], *, alone: bool = False) -> list[Call]:
        """The next batch: at most `limit` rows, or one larger call alone. Taken calls become DISPATCHED.

        Args:
            limit: rows of the batch.
            now: a call whose deadline is not after this is not taken, but given to `expired`.
            expired: must give the call its outcome; it is out of the queue by then.
            alone: take no more than one call.
        """
        taken: list[Call] = []
        rows = 0
        several = sum(map(bool, self._levels)) > 1  # else there is nothing to choose among, call by call
        at = self._choose()
        while at >= 0 and (level := self._levels[at]):
            call = level[0]
            weight = call.rows
            if call.state is _DONE:
                level.popleft()
                self._drop(call)
            elif taken and (alone or rows + weight > limit):
                break
            else:
                level.popleft()
                self.rows -= weight
                self.bytes -= len(call.body)
                if call.deadline <= now:
                    expired(call)
                else:
                    call.state = _DISPATCHED
                    taken.append(call)
                    rows += weight
                    self._virtual = self._served[at]
                    self._served[at] += weight / WEIGHTS[at]
                    if rows >= limit:
                        break
            if several:
                at = self._choose()
        return taken

    def _drop(self, call: Call) -> None:
        """An empty entry is gone; a call that was not released (its rows are not 0) is so now."""
        self._empty = max(0, self._empty - 1)
        self.rows -= call.rows
        self.bytes -= len(call.body)

    def _choose(self) -> int:
        """The level to take from: of those that wait the one with the least service for its weight; -1 for none."""
        chosen, least = -1, inf
        for at, level in enumerate(self._levels):
            if level and self._served[at] < least:
                chosen, least = at, self._served[at]
        return chosen

    def head(self, count: int) -> list[Call]:
        """Some of the calls that would be taken next, for a look at their arrival and deadlines."""
        heads = (islice((call for call in level if call.state is _QUEUED), count) for level in self._levels)
        return [call for some in heads for call in some]
