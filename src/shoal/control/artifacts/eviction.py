"""Making room in a cache: the trees that were not used for longest go, and the blobs that no tree holds any more.

How many trees hold a blob is the number of its names on the disk, so nothing needs to be noted or repaired.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from shoal.control.artifacts import trees
from shoal.control.artifacts.disk import remove
from shoal.control.artifacts.leases import Leases
from shoal.control.artifacts.scratch import Scratch

SLACK = 16
"""One part in so many is freed beyond what is needed: looking for the oldest tree costs a look at all of them."""


class Used(NamedTuple):
    """A tree and when it was last used, in nanoseconds."""

    used: int
    digest: str


class Evictor:
    """Removes trees of a cache's folder."""

    def __init__(self, folder: Path, scratch: Scratch, leases: Leases) -> None:
        self._blobs = folder / "blobs"
        self._trees = folder / "trees"
        self._scratch = scratch
        self._leases = leases

    def evict(self, needed: int, limit: int) -> tuple[int, int]:
        """Remove trees until this many bytes are free, and a little more; returns how many trees, and bytes, went."""
        evicted = expected = freed = 0
        for _, digest in sorted(self._used()):
            size = self._size(digest)
            if expected >= needed and expected + size > needed + limit // SLACK:
                break
            alone = self._remove(digest)
            if alone is not None:
                evicted += 1
                expected += size
                freed += alone
        return evicted, freed + self._sweep()

    def count(self) -> int:
        """Bytes that all files take."""
        blobs = [status for _, entry in trees.files(self._blobs) if (status := _status(entry))]
        held = [status for _, entry in trees.files(self._trees) if (status := _status(entry))]
        return sum(each.st_size for each in (*blobs, *(each for each in held if each.st_nlink == 1)))

    def _used(self) -> list[Used]:
        with os.scandir(self._trees) as entries:
            return [Used(status.st_mtime_ns, entry.name) for entry in entries if (status := _status(entry))]

    def _size(self, digest: str) -> int:
        """About what removing a tree frees: files that no other tree holds."""
        try:
            found = [status for _, entry in trees.files(self._trees / digest) if (status := _status(entry))]
        except FileNotFoundError:
            return 0
        return sum(status.st_size for status in found if status.st_nlink <= 2)

    def _remove(self, digest: str) -> int | None:
        """Remove a tree; returns the bytes of files that only it held, or None: it is in use, or gone."""
        with self._scratch.tree() as bin_:
            try:
                with self._leases.alone(digest) as alone:
                    if not alone:
                        return None
                    os.rename(self._trees / digest, bin_ / digest)
            except FileNotFoundError:
                return None
            found = [entry.stat(follow_symlinks=False) for _, entry in trees.files(bin_)]
            return sum(status.st_size for status in found if status.st_nlink == 1)

    def _sweep(self) -> int:
        """Remove blobs that no tree holds; returns their bytes."""
        freed = 0
        for _, entry in trees.files(self._blobs):
            status = _status(entry)
            if status is not None and status.st_nlink == 1:
                remove(Path(entry.path))
                freed += status.st_size
        return freed


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
