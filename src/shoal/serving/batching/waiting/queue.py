"""The calls that wait, with exact accounts of their rows and bytes.

Calls of one level and one tenant, which is what most queues hold, wait in a plain line: first come, first served. Once
another level or tenant comes, `turns` says who is next, until the queue is empty again. A call that got its outcome
while it waited (cancelled, out of time) frees its rows, bytes and body at once; its empty entry is dropped later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from shoal.core.call import INTERACTIVE, Call, State
from shoal.serving.batching.waiting.turns import Turns, WeightOf

COMPACT = 64
"""Empty entries that are tolerated before any clean-up."""
SEVERAL = -1
"""Instead of a level: there may be several of them, or several tenants."""

_DONE = State.DONE
_DISPATCHED = State.DISPATCHED
_QUEUED = State.QUEUED


def alike(tenant: str) -> float:
    """Every tenant weighs the same."""
    return 1.0


class CallQueue:
    """See the module.

    Args:
        weight_of: tenants' weights.

    Attributes:
        rows, bytes: of the calls that wait.
    """

    __slots__ = ("_empty", "_level", "_line", "_tenant", "_weight_of", "bytes", "rows")

    def __init__(self, weight_of: WeightOf = alike) -> None:
        self._weight_of = weight_of
        self._line: deque[Call] | Turns = deque()
        self._level = SEVERAL
        self._tenant = ""
        self._empty = 0
        self.rows = 0
        self.bytes = 0

    def __iter__(self) -> Iterator[Call]:
        """All calls that wait; do not change the queue meanwhile."""
        return (call for call in self._line if call.state is _QUEUED)

    def append(self, call: Call) -> None:
        """Put a call last in its line."""
        if call.level == self._level and call.tenant == self._tenant:
            self._line.append(call)
        else:
            self._line_for(call).append(call)
        self.rows += call.rows
        self.bytes += len(call.body)

    def put_back(self, calls: list[Call]) -> None:
        """Put calls that were taken first in their lines, in their order."""
        for call in reversed(calls):
            if call.state is _DONE:
                continue
            call.state = _QUEUED
            self._line_for(call).appendleft(call)
            self.rows += call.rows
            self.bytes += len(call.body)

    def _line_for(self, call: Call) -> deque[Call] | Turns:
        """Where the call belongs: a plain line if no other level or tenant waits."""
        line = self._line
        if call.level == self._level and call.tenant == self._tenant:
            return line
        if not line:
            self._level, self._tenant, self._empty = call.level, call.tenant, 0
            if isinstance(line, Turns):
                line = self._line = deque()
            return line
        if isinstance(line, Turns):
            return line
        turns = Turns(self._weight_of)
        for each in line:
            turns.append(each)
        self._line, self._level = turns, SEVERAL
        return turns

    def release(self, call: Call) -> None:
        """A waiting call has got its outcome: give back what it holds."""
        self._let_go(call)
        self._empty += 1
        if self._empty > COMPACT and self._empty * 2 > len(self._line):
            self._compact()

    def _let_go(self, call: Call) -> None:
        if isinstance(self._line, Turns):
            self._line.forget(call)
        self.rows -= call.rows
        self.bytes -= len(call.body)
        call.rows = 0
        call.body = b""

    def _compact(self) -> None:
        line = self._line
        if isinstance(line, Turns):
            line.keep(lambda call: call.state is not _DONE)
        else:
            kept = [call for call in line if call.state is not _DONE]
            line.clear()
            line.extend(kept)
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
        rows, line = 0, self._line
        while line:
            call = line[0]
            weight = call.rows
            if call.state is _DONE:
                self._drop(line.popleft())
            elif taken and (alone or rows + weight > limit):
                break
            elif call.deadline <= now:
                self._let_go(call)  # first, so that its rows do not count as had
                line.popleft()
                expired(call)
            else:
                line.popleft()
                self.rows -= weight
                self.bytes -= len(call.body)
                call.state = _DISPATCHED
                taken.append(call)
                rows += weight
        return taken

    def _drop(self, call: Call) -> None:
        """An empty entry is gone; a call that was not released (its rows are not 0) is so now."""
        self._empty = max(0, self._empty - 1)
        self.rows -= call.rows
        self.bytes -= len(call.body)

    @property
    def urgent(self) -> int:
        """Rows that somebody waits for, about."""
        line = self._line
        if isinstance(line, Turns):
            return sum(level.rows for level in line.levels[: INTERACTIVE + 1])
        return self.rows if self._level <= INTERACTIVE else 0

    def head(self, count: int) -> list[Call]:
        """Some of the calls that would be taken next, for a look at their arrival and deadlines."""
        line = self._line
        levels = line.levels if isinstance(line, Turns) else (line,)
        heads = (islice((call for call in level if call.state is _QUEUED), count) for level in levels)
        return [call for some in heads for call in some]

    def ahead(self, call: Call) -> float:
        """Rows that would go before this call if it were put in now, and nobody came after it."""
        turns = self._turns_for(call)
        return self.rows if turns is None else turns.ahead(call)

    def push_out(self, call: Call) -> Call | None:
        """Take out the call whose place this one may have, if there is one; who does so gives it its outcome."""
        turns = self._turns_for(call)
        pushed = None if turns is None else turns.push_out(call)
        if pushed is not None:
            self.rows -= pushed.rows
            self.bytes -= len(pushed.body)
        return pushed

    def _turns_for(self, call: Call) -> Turns | None:
        """Where turns are taken, if this call were in, too; None if all wait in one line."""
        line = self._line_for(call) if self._line else self._line
        return line if isinstance(line, Turns) else None
