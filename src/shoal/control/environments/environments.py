"""`Environments`: the worker environments of this machine, each built once and never changed.

    HOME/<digest>/            the virtual environment
    HOME/<digest>.json        what it is; written last: without it, the folder is what a killed build has left
    HOME/<digest>.building    locked by who builds it
    HOME/<digest>.use         locked by all who use it

The digest names the lock together with Python, platform and Shoal's own files (`locks.environment_digest`), so another
lock, another Python or another Shoal is another environment, side by side with the old one. Threads and processes that
want the same one wait for one build. A build that is killed is begun again by the next who asks. An environment is held
for this process from `ensure` to `release` or `close`: nobody removes it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import msgspec

from shoal.control.environments import bundles, needs
from shoal.control.environments.assembling import Recipe, assemble, remove, seal
from shoal.control.environments.holding import Hold, unused
from shoal.control.environments.locks import Lock, Target, environment_digest, parse_lock
from shoal.control.environments.pip import SECONDS, Progress
from shoal.control.environments.records import Environment, read_record, removable, write_record
from shoal.core.errors import NotFound, ShoalError, StorageFull, Unavailable

logger = logging.getLogger(__name__)


class Assemble(Protocol):
    """Fills an environment's folder; `held` is a descriptor that the programs it starts keep open."""

    def __call__(self, folder: Path, recipe: Recipe, *, progress: Progress, held: int) -> None: ...


Fill = Callable[[Path, int], None]
"""The same, with recipe and progress given."""
GRACE_SECONDS = 24 * 3600.0
"""How long an environment that nobody holds is kept after its last use."""


class Environments:
    """See the module.

    Args:
        home: their folder; made if it is missing.
        clock: Unix seconds.
        seconds: how long pip may take for one step.
        assemble: fills the folder of an environment; tests give one that needs no time.
    """

    def __init__(
        self,
        home: Path,
        *,
        clock: Callable[[], float] = time.time,
        seconds: float = SECONDS,
        assemble: Assemble = assemble,
    ) -> None:
        self._home = home.resolve()
        self._home.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._seconds = seconds
        self._assemble = assemble
        self._held: dict[str, Hold] = {}
        self._guard = threading.Lock()

    def ensure(self, text: str, progress: Progress | None = None) -> Environment:
        """The environment of a requirements lock, built if it is not there. Blocks meanwhile.

        Raises:
            ConfigError: the lock is wrong, or what it names cannot be had or does not fit together.
            Unavailable: the package index cannot be reached, or the folder cannot be written.
            StorageFull: there is no room.
        """
        lock = parse_lock(text)

        def fill(folder: Path, held: int) -> None:
            recipe = Recipe(lock=lock, seconds=self._seconds)
            self._assemble(folder, recipe, progress=progress or _untold, held=held)

        return self._ensure(lock, needs.this_target(), fill)

    def ensure_from(self, bundle: Path, progress: Progress | None = None) -> Environment:
        """The environment of a bundle, from its own wheels alone: no index is asked.

        Raises:
            CorruptArtifact: it is not what was built.
            ConfigError: it was built for another Python, platform or Shoal.
            StorageFull: there is no room.
        """
        target = needs.this_target()
        bundles.require_target(bundles.verify(bundle), target)
        lock = parse_lock(bundles.read_member(bundle, bundles.LOCK).decode())

        def fill(folder: Path, held: int) -> None:
            with bundles.unpacked(bundle, self._home) as contents:
                recipe = Recipe(lock=lock, wheels=contents / bundles.WHEELS, seconds=self._seconds)
                self._assemble(folder, recipe, progress=progress or _untold, held=held)

        return self._ensure(lock, target, fill)

    def find(self, digest: str) -> Environment:
        """An environment that is there.

        Raises:
            NotFound: there is none, or it is not complete.
        """
        return read_record(self._record(digest))

    def list(self) -> tuple[Environment, ...]:
        """All that are complete, by digest."""
        found = []
        for record in sorted(self._home.glob("*.json")):
            with contextlib.suppress(NotFound):
                found.append(read_record(record))
        return tuple(found)

    def remove_unused(
        self, keep: Collection[str] = (), grace_seconds: float = GRACE_SECONDS
    ) -> tuple[Environment, ...]:
        """Remove those that nobody holds, `keep` does not name, and that were not asked for lately; tells which.

        What killed builds have left goes too.
        """
        old = removable(self.list(), keep, self._clock(), grace_seconds)
        removed = tuple(each for each in old if self._remove(each.digest))
        complete = {each.digest for each in self.list()}
        for folder in self._home.iterdir():
            if folder.is_dir() and _is_digest(folder.name) and folder.name not in complete:
                self._remove(folder.name)
        bundles.remove_leftovers(self._home, self._clock() - max(grace_seconds, GRACE_SECONDS))
        return removed

    def release(self, digest: str) -> None:
        """Hold an environment no more."""
        with self._guard:
            hold = self._held.pop(digest, None)
        if hold is not None:
            hold.close()

    def close(self) -> None:
        """Hold nothing any more."""
        for digest in tuple(self._held):
            self.release(digest)

    def _ensure(self, lock: Lock, target: Target, fill: Fill) -> Environment:
        digest = environment_digest(lock, target)
        hold = Hold(self._use(digest))
        try:
            hold.share()
            found = self._find_or_build(digest, lambda held: self._build(digest, lock, target, fill, held))
            now = self._clock()
            os.utime(self._record(digest), (now, now))
        except BaseException:
            hold.close()
            raise
        self._keep(digest, hold)
        return msgspec.structs.replace(found, used=now)

    def _find_or_build(self, digest: str, build: Callable[[int], None]) -> Environment:
        with contextlib.suppress(NotFound):
            return self.find(digest)
        building = Hold(self._building(digest))
        try:
            building.alone()
            with contextlib.suppress(NotFound):  # somebody else has built it meanwhile
                return self.find(digest)
            build(building.descriptor)
            return self.find(digest)
        finally:
            building.close()

    def _build(self, digest: str, lock: Lock, target: Target, fill: Fill, held: int) -> None:
        folder = self._home / digest
        started = time.monotonic()
        try:
            self._record(digest).unlink(missing_ok=True)
            remove(folder)
            fill(folder, held)
            write_record(self._record(digest), self._sealed(folder, lock, target))
        except BaseException as error:
            with contextlib.suppress(OSError):
                remove(folder)
            if isinstance(error, OSError):
                raise _told(error) from error
            raise
        logger.info("environment built", extra={"digest": digest, "seconds": round(time.monotonic() - started, 1)})

    def _sealed(self, folder: Path, lock: Lock, target: Target) -> Environment:
        return Environment(
            digest=folder.name,
            folder=str(folder),
            requirements=lock.lines,
            target=target,
            bytes=seal(folder),
            created=self._clock(),
        )

    def _keep(self, digest: str, hold: Hold) -> None:
        with self._guard:
            known = self._held.setdefault(digest, hold)
        if known is not hold:
            hold.close()

    def _remove(self, digest: str) -> bool:
        """Remove it unless somebody has it; the record goes first, so that it is never found in part."""
        with unused(self._use(digest)) as not_used, unused(self._building(digest)) as not_built:
            free = not_used and not_built
            if free:
                self._record(digest).unlink(missing_ok=True)
                remove(self._home / digest)
        return free

    def _record(self, digest: str) -> Path:
        return self._home / f"{digest}.json"

    def _use(self, digest: str) -> Path:
        return self._home / f"{digest}.use"

    def _building(self, digest: str) -> Path:
        return self._home / f"{digest}.building"


def _told(error: OSError) -> ShoalError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("there is no room for the environment", hint="remove unused ones: `shoal gc`")
    return Unavailable(f"the environment cannot be built: {error}", hint="look at the node's data folder")


def _is_digest(name: str) -> bool:
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _untold(line: str) -> None:
    """Nobody wants to know."""
