"""Who uses which tree of a cache: a tree that somebody uses is not evicted.

One open file per process holds all its leases, counted per tree; the kernel ends them with the process. Evicting asks
for the tree alone, through a file of its own, and is refused while any process has a lease on it.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.control.artifacts import ranges


class Leases:
    """The leases of this process, in a file shared with others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = ranges.open_locks(path)
        self._guard = threading.Lock()
        self._counts: Counter[str] = Counter()

    def hold(self, digest: str) -> None:
        """Begin to use a tree; waits while it is being evicted."""
        with self._guard:
            if not self._counts[digest]:
                ranges.share(self._file, ranges.position(digest))
            self._counts[digest] += 1

    def drop(self, digest: str) -> None:
        """Use it no more."""
        with self._guard:
            self._counts[digest] -= 1
            if not self._counts[digest]:
                del self._counts[digest]
                ranges.release(self._file, ranges.position(digest))

    @contextmanager
    def alone(self, digest: str) -> Iterator[bool]:
        """Whether nobody uses a tree; if so nobody begins to until the end of the block."""
        file = ranges.open_locks(self._path)
        try:
            yield ranges.try_exclusive(file, ranges.position(digest))
        finally:
            os.close(file)

    def close(self) -> None:
        """Drop all."""
        os.close(self._file)
