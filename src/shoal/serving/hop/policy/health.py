"""Which proxies are to be trusted with requests. Pure.

**Active**: a proxy says every quarter of a second how it stands. One that has not for a second is suspect, and gets
requests only if no other can; one that has not for three is dead, and its connection is closed.

**Passive**: a proxy whose connection fails again and again is ejected for a time that grows with
each ejection. At most half of the proxies are ejected, and never the last one. Slowness is no reason: a slow model is
slow everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

SUSPECT_SECONDS = 1.0
DEAD_SECONDS = 3.0
LATE_SECONDS = 0.5
"""If nobody has looked for so long, it was we who stood still: what the proxy has said meanwhile is yet to be read."""
FAILURES = 5
"""Failures in a row that eject."""
EJECT_SECONDS = 5.0
LONGEST_SECONDS = 120.0
FORGIVEN_SECONDS = 300.0
"""After so long without another ejection, the next one is as short as the first."""


class Standing(IntEnum):
    FINE = 0
    SUSPECT = 1
    DEAD = 2


class Pulse:
    """When a proxy was heard of last."""

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


@dataclass(slots=True)
class _Record:
    failures: int = 0
    ejections: int = 0
    until: float = 0.0


class Outliers:
    """Ejects proxies that fail again and again."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def update(self, names: Collection[str]) -> None:
        """These are the proxies; others are forgotten."""
        self._records = {name: self._records.get(name) or _Record() for name in names}

    def success(self, name: str) -> None:
        """It has done what it was asked for."""
        if (record := self._records.get(name)) is not None:
            record.failures = 0

    def failure(self, name: str, now: float) -> bool:
        """It has failed; whether it is ejected for that now."""
        record = self._records.setdefault(name, _Record())
        record.failures += 1
        if record.failures < FAILURES or record.until > now:
            return False
        if len(self.ejected(now)) + 1 > len(self._records) // 2:
            return False
        if now - record.until > FORGIVEN_SECONDS:
            record.ejections = 0
        record.until = now + min(EJECT_SECONDS * 2**record.ejections, LONGEST_SECONDS)
        record.ejections += 1
        record.failures = 0
        return True

    def ejected(self, now: float) -> set[str]:
        """Those that get no requests now."""
        return {name for name, record in self._records.items() if record.until > now}
