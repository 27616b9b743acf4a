"""Whether the other end of a connection was heard of lately. Pure.

Each end says every quarter of a second how it stands. One that has not for a second is suspect; one that has not for
three is dead.
"""

from __future__ import annotations

from enum import IntEnum

SUSPECT_SECONDS = 1.0
DEAD_SECONDS = 3.0
LATE_SECONDS = 0.5
"""If nobody has looked for so long, it was we who stood still: what was said meanwhile is yet to be read."""


class Standing(IntEnum):
    FINE = 0
    SUSPECT = 1
    DEAD = 2


class Pulse:
    """When the other end was heard of last."""

    def __init__(self, now: float) -> None:
        self._heard = now
        self._looked = now

    def heard(self, now: float) -> None:
        self._heard = now

    def look(self, now: float) -> Standing:
        """How it stands; to be asked several times a second."""
        late, self._looked = now - self._looked, now
        if late > LATE_SECONDS:
            self._heard = min(now, self._heard + late)
        silent = now - self._heard
        if silent >= DEAD_SECONDS:
            return Standing.DEAD
        return Standing.SUSPECT if silent >= SUSPECT_SECONDS else Standing.FINE
