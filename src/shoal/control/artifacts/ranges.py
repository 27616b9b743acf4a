"""Locks on names, any number of them in one file: shared or exclusive, among the threads of all processes of a machine.

Each name stands for one byte of the file, and the lock is a kernel's lock on that byte, owned by the open file. So a
lock ends with its holder in whatever way that ends, costs no file of its own, and leaves nothing to clean up.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FLOCK = "hhqqi4x"
_BUSY = (errno.EAGAIN, errno.EACCES)


def open_locks(path: Path) -> int:
    """An open lock file. Two of them, even in one process, exclude each other; one never excludes itself."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def position(digest: str) -> int:
    """The byte of a digest. Two digests may share one, which only makes them wait for each other."""
    return int(digest[:15], 16)


def share(descriptor: int, at: int) -> None:
    """Take a shared lock; waits while somebody holds it exclusively."""
    _set(descriptor, fcntl.F_OFD_SETLKW, fcntl.F_RDLCK, at)


def release(descriptor: int, at: int) -> None:
    """Let go of a lock."""
    _set(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, at)


def try_exclusive(descriptor: int, at: int) -> bool:
    """Take an exclusive lock if nobody else holds it."""
    try:
        _set(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, at)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


@contextmanager
def exclusive(path: Path, at: int) -> Iterator[int]:
    """Hold an exclusive lock; waits for it. Gives the open lock file."""
    descriptor = open_locks(path)
    try:
        _set(descriptor, fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, at)
        yield descriptor
    finally:
        os.close(descriptor)


def _set(descriptor: int, command: int, kind: int, at: int) -> None:
    fcntl.fcntl(descriptor, command, struct.pack(_FLOCK, kind, os.SEEK_SET, at, 1, 0))
