"""Files and folders in the making: each is locked while its maker lives, so that what a killed one left can be told.

A maker stages its work here and renames it to where it belongs; what was not renamed is removed when the maker is done
with it, and by `collect` when the maker died. The lock ends with its process, in whatever way that ends.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from shoal.control.artifacts.disk import remove

YOUNG_SECONDS = 60.0
"""A maker has this long from making a file to locking it."""


class Staged(NamedTuple):
    """A file or folder in the making, and the open descriptor that locks it."""

    path: Path
    descriptor: int


class Scratch:
    """A folder for work in the making, on the file system of where the work goes to.

    Args:
        folder: it must be there.
        prefix: what the names in it begin with; `collect` removes what begins so: without one, everything.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.folder = folder
        self._prefix = prefix

    @contextmanager
    def file(self) -> Iterator[Staged]:
        """A new empty file, open for writing."""
        path = self._new()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with _held(Staged(path, descriptor)) as staged:
            yield staged

    @contextmanager
    def tree(self) -> Iterator[Path]:
        """A new empty folder."""
        path = self._new()
        path.mkdir(mode=0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with _held(Staged(path, descriptor)):
            yield path

    def _new(self) -> Path:
        return self.folder / f"{self._prefix}{secrets.token_hex(12)}"

    def collect(self, young_seconds: float = YOUNG_SECONDS) -> int:
        """Remove what dead makers left; returns how many."""
        horizon = time.time() - young_seconds
        names = [name for name in os.listdir(self.folder) if name.startswith(self._prefix)]
        return sum(_collect(self.folder / name, horizon) for name in names)


@contextmanager
def _held(staged: Staged) -> Iterator[Staged]:
    try:
        fcntl.flock(staged.descriptor, fcntl.LOCK_EX)
        yield staged
    finally:
        remove(staged.path)
        os.close(staged.descriptor)


def _collect(path: Path, horizon: float) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(descriptor).st_ctime > horizon:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
