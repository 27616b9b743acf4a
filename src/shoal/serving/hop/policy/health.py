"""Which proxies are to be trusted with requests. Pure.

**Active**: see `peering.pulse`. A proxy that is suspect gets requests only if no other can; the connection to one that
is dead is closed.

**Passive**: a proxy whose connection fails again and again is ejected for a time that grows with
each ejection. At most half of the proxies are ejected, and never the last one. Slowness is no reason: a slow model is
slow everywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

FAILURES = 5
"""Failures in a row that eject."""
EJECT_SECONDS = 5.0
LONGEST_SECONDS = 120.0
FORGIVEN_SECONDS = 300.0
"""After so long without another ejection, the next one is as short as the first."""


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
