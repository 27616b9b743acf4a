"""Who builds and who uses an environment: locks on files, which the kernel lets go when a process dies.

Users share one lock for as long as they want the environment; a builder has another alone; who removes it needs both
alone. Locks belong to open files, so threads of one process exclude each other as processes do, and a program that
inherits the file keeps the lock when its parent dies.
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
        """Lock it together with others: waits for who has it alone."""
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def try_alone(self) -> bool:
        """Lock it alone, unless anybody has it."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def alone(self) -> None:
        """Lock it alone: waits for everybody else."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Let go."""
        os.close(self.descriptor)


@contextlib.contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Whether nobody has it; nobody gets it during the block."""
    hold = Hold(path)
    try:
        yield hold.try_alone()
    finally:
        hold.close()
