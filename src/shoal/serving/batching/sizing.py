"""How many rows a batch may hold, found out while serving. Pure.

`AutoSize` climbs a ladder of sizes (1, 2, 4 ... 64), starting at 4. It measures what a row costs on each rung. While
there is more to send than fits, it tries the next rung, stays there if rows got cheaper, and steps back if they did
not, or if batches take longer than the target. What it has learnt of larger sizes is forgotten after a while, so it
follows a model or a machine that changes. `FixedSize` is for those who know.
"""

from __future__ import annotations

from typing import Protocol

LADDER = (1, 2, 4, 8, 16, 32, 64)
START = 2
"""The rung it starts on: 4 rows."""
SAMPLES = 3
"""Batches that are measured on a rung before it is judged; the very first pays for warming up and does not count."""
GAIN = 0.97
"""A rung is worth going to if its rows cost less than this share of what they cost here."""
WEIGHT = 0.3
"""Weight of a new measurement in the moving average."""
FORGET = 200
"""Batches after which larger sizes are tried again."""


class Size(Protocol):
    """How many rows a batch may hold."""

    @property
    def rows(self) -> int: ...

    def observe(self, rows: int, seconds: float, *, full: bool) -> None:
        """A batch of `rows` took so long; `full`: more was waiting than fitted."""


class FixedSize:
    """Always the same."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def observe(self, rows: int, seconds: float, *, full: bool) -> None:
        """Nothing is to be learnt."""


class Rung:
    """What is known of one size: the moving averages of a batch's seconds, and of a row's."""

    __slots__ = ("batch_seconds", "count", "row_seconds")

    def __init__(self) -> None:
        self.count = 0
        self.batch_seconds = 0.0
        self.row_seconds = 0.0

    @property
    def known(self) -> bool:
        return self.count > SAMPLES

    def observe(self, rows: int, seconds: float) -> None:
        self.count += 1
        weight = 1.0 if self.count <= 2 else WEIGHT
        self.batch_seconds += weight * (seconds - self.batch_seconds)
        self.row_seconds += weight * (seconds / rows - self.row_seconds)


class AutoSize:
    """See the module.

    Args:
        target: seconds that a batch should take at most, or None.
    """

    def __init__(self, target: float | None = None) -> None:
        self._target = target
        self._at = START
        self._rungs = [Rung() for _ in LADDER]
        self._since_forgot = 0

    @property
    def rows(self) -> int:
        """Rows that a batch may hold now."""
        return LADDER[self._at]

    def observe(self, rows: int, seconds: float, *, full: bool) -> None:
        """Learn from a batch; go one rung up or down if that pays."""
        if rows <= 0 or rows > LADDER[-1]:
            return
        rung = (rows - 1).bit_length()
        self._rungs[rung].observe(rows, seconds)
        if rung != self._at or not self._rungs[rung].known:
            return
        self._forget()
        if self._too_slow(self._at) or (self._at > 0 and self._dearer_than(self._at - 1)):
            self._at = max(self._at - 1, 0)
        elif full and self._at + 1 < len(LADDER) and self._worth_trying(self._at + 1):
            self._at += 1

    def _too_slow(self, at: int) -> bool:
        return self._target is not None and self._rungs[at].batch_seconds > self._target

    def _dearer_than(self, lower: int) -> bool:
        """Whether going up from `lower` to here has not paid."""
        return self._rungs[lower].known and not self._pays(lower, self._at)

    def _worth_trying(self, upper: int) -> bool:
        return not self._too_slow(upper) and (not self._rungs[upper].known or self._pays(self._at, upper))

    def _pays(self, lower: int, upper: int) -> bool:
        return self._rungs[upper].row_seconds < GAIN * self._rungs[lower].row_seconds

    def _forget(self) -> None:
        """What was learnt above may not hold any more; what was learnt below is a way back."""
        self._since_forgot += 1
        if self._since_forgot >= FORGET:
            self._since_forgot = 0
            self._rungs[self._at + 1 :] = [Rung() for _ in LADDER[self._at + 1 :]]
