"""Who is next when a worker that many models share has room: each in turn, one job at a time. Pure.

Whoever asks for room in vain is put in the line, and called when it is his turn; he then may send one job, and asks
again if he has more. So a model with ever so many batches waiting never keeps out one that has a single one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

PACE_WEIGHT = 0.1
"""Weight of a new measurement of what a job takes."""


class Waiting(Protocol):
    """Somebody who may have something to send."""

    on_room: Callable[[], None]


class Line:
    """See the module."""

    def __init__(self) -> None:
        self._waiting: dict[Waiting, None] = {}
        self.turn: Waiting | None = None
        """Whose turn it is just now; None: nobody's, so that anybody may take what is free."""
        self._left = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, who: Waiting) -> None:
        """Be called when there is room; whoever is in the line keeps his place."""
        self._waiting[who] = None

    def leave(self, who: Waiting) -> None:
        """Not be called after all."""
        self._waiting.pop(who, None)

    def room(self, who: Waiting, slots: int) -> int:
        """How many jobs one may send now, of so many that there is room for; who may not is in the line."""
        allowed = slots if self.turn is None else min(self._left, slots) if self.turn is who else 0
        if allowed <= 0:
            self._waiting[who] = None
            return 0
        return allowed

    def sent(self) -> None:
        """A job was sent."""
        self._left -= 1

    def serve(self, slots: Callable[[], int]) -> None:
        """Call those in the line, each at most once, for as long as there is room."""
        for _ in range(len(self._waiting)):
            if slots() <= 0 or not self._waiting:
                return
            who = next(iter(self._waiting))
            del self._waiting[who]
            self.turn, self._left = who, 1
            try:
                who.on_room()
            finally:
                self.turn = None


class Pace:
    """What a job takes a worker that does one after another, measured from end to end while it has more than one."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def ended(self, now: float, *, busy: bool) -> None:
        """A job has ended; `busy`: the next one is there already."""
        if self._since is not None:
            seconds = now - self._since
            self.seconds += (PACE_WEIGHT if self.seconds else 1.0) * (seconds - self.seconds)
        self._since = now if busy else None
