"""Who builds and who uses an environment: locks on files, which the kernel lets go when a process dies.

A user holds a shared lock for as long as it wants the environment; who builds or removes one holds the exclusive lock.
Locks belong to open files, so threads of one process exclude each other as processes do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class Hold:
    """An open lock file; nothing is locked at first."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def share(self) -> None:
        """Use it: waits for who builds or removes it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Build or remove it, unless anybody builds, removes or uses it."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def alone(self) -> None:
        """Build or remove it: waits for everybody else."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Let go."""
        os.close(self.descriptor)


@contextlib.contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether nobody else uses it; nobody can begin to inside of the block."""
    hold = Hold(path)
    try:
        yield hold.try_alone()
    finally:
        hold.close()
