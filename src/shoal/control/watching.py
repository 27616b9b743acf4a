"""What has changed in the folders since they were last looked at: `shoal serve --watch`.

`diff` compares two scans, model by model. A model that has become wrong is neither changed nor removed: what was served
goes on until its files are right again. `Watcher` holds a change back until two scans in a row agree, so that a file
which is still being copied is not loaded. `watch` polls, because that works on every file system.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from shoal.control.scanning import Problem, Scan, Stamp, scan
from shoal.core.model import ModelSpec

_Models = dict[str, dict[str, tuple[ModelSpec, Stamp]]]


@dataclass(frozen=True, slots=True)
class Diff:
    """How one scan differs from an earlier one.

    Attributes:
        added: names of models that are new.
        changed: names of models with other files, settings or versions.
        removed: names of models that are gone.
        problems: what is wrong now and was not before.
    """

    added: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.problems)


def diff(old: Scan, new: Scan) -> Diff:
    """What has to be done to come from one scan to another."""
    before, after = _by_name(old), _by_name(new)
    wrong = {problem.name for problem in new.problems}
    known = {(problem.path, str(problem.error)) for problem in old.problems}
    return Diff(
        added=frozenset(after.keys() - before.keys()),
        changed=frozenset(name for name in after.keys() & before.keys() - wrong if after[name] != before[name]),
        removed=frozenset(before.keys() - after.keys() - wrong),
        problems=tuple(each for each in new.problems if (each.path, str(each.error)) not in known),
    )


class Watcher:
    """Turns scans into differences, each told once and only when it has settled."""

    def __init__(self, first: Scan) -> None:
        self._told = first
        self._last = first

    def step(self, now: Scan) -> Diff:
        """The difference to tell of after this scan; empty (false) if there is none, or it has not settled."""
        settled = _by_name(now) == _by_name(self._last) and not diff(self._last, now).problems
        self._last = now
        if not settled:
            return Diff()
        told = diff(self._told, now)
        self._told = _kept(self._told, now)
        return told


async def watch(
    paths: Iterable[Path | str],
    interval: float,
    on_change: Callable[[Diff], Awaitable[None]],
    *,
    trust: bool = False,
    first: Scan | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Tell of changes until cancelled.

    Args:
        paths: as for `scan`.
        interval: seconds between two looks; a change is told after one to two of them.
        on_change: called with each change, one at a time.
        trust: as for `scan`.
        first: what is served already; by default what is there now.
        sleep: how to wait.
    """
    watched = list(paths)
    watcher = Watcher(await asyncio.to_thread(scan, watched, trust) if first is None else first)
    while True:
        await sleep(interval)
        difference = watcher.step(await asyncio.to_thread(scan, watched, trust))
        if difference:
            await on_change(difference)


def _by_name(found: Scan) -> _Models:
    models: _Models = {}
    for spec in found.specs:
        models.setdefault(spec.name, {})[spec.version] = (
            spec,
            found.stamps.get((spec.name, spec.version), frozenset()),
        )
    return models


def _kept(told: Scan, now: Scan) -> Scan:
    """What is served after a change: the new scan, but of models that have become wrong all that was told."""
    wrong = {problem.name for problem in now.problems} & {spec.name for spec in told.specs}
    stale = [spec for spec in told.specs if spec.name in wrong]
    fresh = [spec for spec in now.specs if spec.name not in wrong]
    stamps = {key: stamp for key, stamp in now.stamps.items() if key[0] not in wrong}
    stamps |= {key: stamp for key, stamp in told.stamps.items() if key[0] in wrong}
    return Scan([*fresh, *stale], now.problems, stamps)
