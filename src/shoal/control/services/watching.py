"""What a folder of service files asks to be done, from one look at it to the next.

`Watcher.step` turns a scan into a `Step`. A change is held back until two scans in a row agree, so that a file which is
still being written is not taken for its last word; the very first scan is taken as it is. The services of a file that
has become wrong stay as they are, and each problem is told once. A put or a deletion is asked for again with every
step until it is said to be `done`: a registry that refuses today may accept tomorrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shoal.control.services.scanning import Key, Scan
from shoal.core.service import Service


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that is not done.

    Attributes:
        subject: a file, or the address of a service.
        reason: why; may have several lines.
    """

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done.

    Attributes:
        puts: services that are new, or have changed.
        deletes: services that are described no more.
        refusals: files that have become wrong, or wrong in another way.
    """

    puts: tuple[Service, ...] = ()
    deletes: tuple[Key, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Watcher:
    """See the module.

    Args:
        known: services that were put for this folder before.
    """

    def __init__(self, known: Mapping[Key, Service] | None = None) -> None:
        self._done: dict[Key, Service] = dict(known or {})
        self._file: dict[Key, str] = {}
        self._last: Scan | None = None
        self._told: set[Refusal] = set()

    def step(self, now: Scan) -> Step:
        """What is to be done after this scan."""
        settled = self._last is None or now == self._last
        self._last = now
        if not settled:
            return Step()
        problems = {Refusal(name, reason) for name, reason in now.problems.items()}
        refusals = sorted(problems - self._told, key=lambda each: each.subject)
        self._told = problems
        if not now.readable:
            return Step(refusals=tuple(refusals))
        wanted = now.services
        puts = tuple(service for key, service in wanted.items() if self._done.get(key) != service)
        deletes = tuple(key for key in self._done if key not in wanted and not self._stays(key, now))
        self._file |= {key: name for name, services in now.files.items() for key in services}
        return Step(puts, deletes, tuple(refusals))

    def done(self, key: Key, service: Service | None) -> None:
        """A service is this now; None: it is deleted."""
        if service is not None:
            self._done[key] = service
            return
        self._done.pop(key, None)
        self._file.pop(key, None)

    def _stays(self, key: Key, now: Scan) -> bool:
        """Whether the file that described a service is wrong now; of one that is not known, whether any is."""
        file = self._file.get(key)
        return bool(now.problems) if file is None else file in now.problems
