"""Who is next when calls of several priorities or tenants wait. Pure.

    levels ──(8, 4, 2, 1)──▶ tenants of a level ──(their weights)──▶ calls: first come, first served

Both choices are start-time fair queueing (Goyal, Vin, Cheng, 1996), counted in rows: whoever has had least for its
weight is next, and who comes back after a pause has saved nothing up. So among those that wait each gets its share,
however much the others send, and what one does not use the others have.

The room in the queue is shared like the service: where it is full, a call of somebody who holds less than his share
takes the place of the last call of whoever holds most for his weight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain, count, zip_longest

from shoal.core.call import Call, State

LEVELS = 4
"""Priority classes; larger numbers count as the last."""
WEIGHTS = (8.0, 4.0, 2.0, 1.0)
"""Shares of the levels when all of them wait."""
MEASURED = 64
"""Rows after which it is known which part of them a tenant gets."""
MOST_IDLE = 1024
"""Tenants without a call that are remembered for what they have had already; more are forgiven."""

WeightOf = Callable[[str], float]
"""A tenant's weight, more than 0."""


def level_of(call: Call) -> int:
    """The call's level; out of range is the last."""
    return call.level if 0 <= call.level < LEVELS else LEVELS - 1


class Line:
    """The calls of one tenant in one level.

    Attributes:
        rows: that wait here.
        start: what it has had for its weight.
        had: rows that it got since there has always been one of its calls waiting.
        since: rows that all had got when that began.
    """

    __slots__ = ("calls", "had", "rows", "since", "start", "weight")

    def __init__(self, weight: float) -> None:
        self.calls: deque[Call] = deque()
        self.rows = 0
        self.start = 0.0
        self.had = 0
        self.since = 0
        self.weight = weight


class Level:
    """The calls of one level, by tenant.

    Attributes:
        weight: of the level.
        rows: that wait here.
        start: what the level has had for its weight.
    """

    __slots__ = (
        "_heap",
        "_lines",
        "_numbers",
        "_shares",
        "_tidy_at",
        "_virtual",
        "_weight_of",
        "rows",
        "start",
        "weight",
    )

    def __init__(self, weight: float, weight_of: WeightOf) -> None:
        self.weight = weight
        self.rows = 0
        self.start = 0.0
        self._weight_of = weight_of
        self._lines: dict[str, Line] = {}
        self._heap: list[tuple[float, int, Line]] = []
        self._numbers = count()
        self._shares = 0.0
        self._virtual = 0.0
        self._tidy_at = MOST_IDLE

    def __bool__(self) -> bool:
        return bool(self._heap)

    def __iter__(self) -> Iterator[Call]:
        """All entries, about in the order in which they would be taken."""
        lines = [line.calls for _, _, line in sorted(self._heap, key=lambda each: each[:2])]
        return (call for some in zip_longest(*lines) for call in some if call is not None)

    def append(self, call: Call, all_had: int) -> None:
        """Last in its line; `all_had` is the number of rows that were taken so far, of all levels."""
        line = self._line(call.tenant)
        if not line.calls:
            line.start = max(line.start, self._virtual)
            line.had, line.since = 0, all_had
            self._shares += line.weight
            heappush(self._heap, (line.start, next(self._numbers), line))
        line.calls.append(call)
        line.rows += call.rows
        self.rows += call.rows

    def put_back(self, call: Call) -> None:
        """First in its line, and what it was counted for is given back."""
        line = self._line(call.tenant)
        if not line.calls:
            line.start = max(line.start, self._virtual)
        line.calls.appendleft(call)
        line.rows += call.rows
        line.start -= call.rows / line.weight
        self.rows += call.rows
        self._arrange()

    @property
    def next(self) -> Call:
        return self._heap[0][2].calls[0]

    def pop(self) -> Call:
        """Take the next call, and count its rows as had."""
        start, _, line = self._heap[0]
        call = line.calls.popleft()
        if rows := call.rows:
            self._virtual = start
            line.start = start + rows / line.weight
            line.had += rows
            line.rows -= rows
            self.rows -= rows
        if not line.calls:
            heappop(self._heap)
            self._shares -= line.weight
        elif rows:
            heapreplace(self._heap, (line.start, next(self._numbers), line))
        return call

    def forget(self, call: Call) -> None:
        """The rows of a call that stays here do not count any more."""
        self.rows -= call.rows
        self._lines[call.tenant].rows -= call.rows

    def keep(self, wanted: Callable[[Call], bool]) -> int:
        """Drop all other entries; how many are left."""
        for line in self._lines.values():
            line.calls = deque(filter(wanted, line.calls))
        self._arrange()
        return sum(len(line.calls) for line in self._lines.values())

    def ahead(self, tenant: str, rows: int) -> float:
        """Rows of this level that would go before the last of so many more of a tenant's."""
        line = self._lines.get(tenant)
        own, weight = (line.rows, line.weight) if line is not None else (0, self._weight_of(tenant))
        others = self._shares - (weight if line is not None and line.calls else 0.0)
        return min(self.rows, own + (own + rows) * others / weight)

    def holds(self, tenant: str) -> tuple[int, float]:
        """Rows that a tenant has waiting, and its weight."""
        line = self._lines.get(tenant)
        return (line.rows, line.weight) if line is not None else (0, self._weight_of(tenant))

    def measured(self, tenant: str, all_had: int) -> tuple[int, float]:
        """Rows that a tenant has waiting, and the part of all rows that it got of late; 0 if that is not known."""
        line = self._lines.get(tenant)
        if line is None or not line.calls or all_had - line.since < MEASURED:
            return 0, 0.0
        share = line.had / (all_had - line.since)
        if all_had - line.since > 64 * MEASURED:  # what was long ago counts for less and less
            line.had, line.since = line.had // 2, (line.since + all_had) // 2
        return line.rows, share

    def fullest(self) -> Line | None:
        """Whoever holds most for its weight; None if nobody waits."""
        return max((line for _, _, line in self._heap), key=lambda line: line.rows / line.weight, default=None)

    def push_out(self, line: Line) -> tuple[Call | None, int]:
        """Take a line's last call out; also how many entries are gone with it."""
        gone, last = 0, None
        while line.calls and last is None:
            call = line.calls.pop()
            gone += 1
            if call.state is not State.DONE:
                last = call
            line.rows -= call.rows
            self.rows -= call.rows
        if not line.calls:
            self._arrange()
        return last, gone

    def _line(self, tenant: str) -> Line:
        line = self._lines.get(tenant)
        if line is None:
            if len(self._lines) >= self._tidy_at:
                self._tidy()
            line = self._lines[tenant] = Line(self._weight_of(tenant))
        return line

    def _tidy(self) -> None:
        """Forget tenants without a call: those that have had no more than others, and if that is not enough, all."""
        idle = {tenant for tenant, line in self._lines.items() if not line.calls}
        owing = {tenant for tenant in idle if self._lines[tenant].start > self._virtual}
        for tenant in idle - owing if len(owing) <= MOST_IDLE // 2 else idle:
            del self._lines[tenant]
        self._tidy_at = MOST_IDLE + len(self._heap)

    def _arrange(self) -> None:
        waiting = [line for line in self._lines.values() if line.calls]
        self._shares = sum(line.weight for line in waiting)
        self._heap = [(line.start, next(self._numbers), line) for line in waiting]
        heapify(self._heap)


class Turns:
    """All levels; speaks like the deque that holds the calls where there is but one level and one tenant."""

    __slots__ = ("_count", "_had", "_virtual", "levels")

    def __init__(self, weight_of: WeightOf) -> None:
        self.levels = tuple(Level(weight, weight_of) for weight in WEIGHTS)
        self._virtual = 0.0
        self._count = 0
        self._had = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Call]:
        return chain.from_iterable(self.levels)

    def __getitem__(self, at: int) -> Call:
        """The next call; `at` is 0."""
        return self._first().next

    def append(self, call: Call) -> None:
        self._entered(call).append(call, self._had)
        self._count += 1

    def appendleft(self, call: Call) -> None:
        level = self._entered(call)
        level.put_back(call)
        level.start -= call.rows / level.weight
        self._count += 1

    def popleft(self) -> Call:
        level = self._first()
        call = level.pop()
        self._count -= 1
        if call.rows:
            self._virtual = level.start
            level.start += call.rows / level.weight
            self._had += call.rows
        return call

    def forget(self, call: Call) -> None:
        """The rows of a call that stays here do not count any more."""
        self.levels[level_of(call)].forget(call)

    def keep(self, wanted: Callable[[Call], bool]) -> None:
        """Drop all other entries."""
        self._count = sum(level.keep(wanted) for level in self.levels)

    def ahead(self, call: Call) -> float:
        """Rows that are likely to go before this call.

        Who has been waiting for a while gets what he got of late, which counts those who come later and are served
        before him. Of anybody else it is known only who waits now.
        """
        own = self.levels[level_of(call)]
        waiting, share = own.measured(call.tenant, self._had)
        if share:
            return (waiting + call.rows) / share - call.rows
        rows = own.ahead(call.tenant, call.rows)
        had = (rows + call.rows) / own.weight
        return rows + sum(min(level.rows, had * level.weight) for level in self.levels if level is not own)

    def push_out(self, call: Call) -> Call | None:
        """Take out the call that this one may take the place of; None if it has no right to."""
        own = self.levels[level_of(call)]
        fullest = max(self.levels, key=lambda level: level.rows / level.weight)
        if (own.rows + call.rows) / own.weight >= fullest.rows / fullest.weight:
            fullest = own
        line = fullest.fullest()
        if line is None:
            return None
        rows, weight = own.holds(call.tenant)
        if fullest is own and (rows + call.rows) / weight >= line.rows / line.weight:
            return None
        pushed, gone = fullest.push_out(line)
        self._count -= gone
        return pushed

    def _entered(self, call: Call) -> Level:
        level = self.levels[level_of(call)]
        if not level:
            level.start = max(level.start, self._virtual)
        return level

    def _first(self) -> Level:
        return min((level for level in self.levels if level), key=lambda level: level.start)
