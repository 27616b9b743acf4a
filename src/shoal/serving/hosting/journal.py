"""What has happened to models lately, so that `why` can tell it: bounded, in memory, newest last."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

KEPT = 20_000
"""Events of all models together."""


class Event(NamedTuple):
    """Something that happened to a model.

    Attributes:
        at: Unix seconds.
        name: the model's address.
        what: ``loaded``, ``evicted``, ``failed``, ``refused``, ``rolled``, ``roll_stopped``, ``scaled``, ``retired``.
        detail: a sentence.
    """

    at: float
    name: str
    what: str
    detail: str


class Journal:
    """The last events of a node."""

    def __init__(self, clock: Callable[[], float] = time.time, kept: int = KEPT) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=kept)

    def note(self, name: str, what: str, detail: str = "") -> None:
        """Remember that this has happened now."""
        self._events.append(Event(self._clock(), name, what, detail))

    def of(self, name: str, limit: int = 20) -> list[Event]:
        """The last events of one model, oldest first."""
        found: list[Event] = []
        for event in reversed(self._events):
            if event.name == name:
                found.append(event)
                if len(found) == limit:
                    break
        return found[::-1]
