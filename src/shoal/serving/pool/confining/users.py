"""User ids for workers, where the node is root: each worker has one that no other process has.

So the kernel counts its processes alone, and keeps it from sending signals to others, from looking into them, and from
their files. Nodes of one machine do not give out the same one: an id is locked while a worker has it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

FOLDER = "shoal-users"


class Users:
    """See the module.

    Args:
        first, last: the ids that may be given out.
        folder: where they are locked; None: where temporary files go.
    """

    def __init__(self, first: int, last: int, folder: Path | None = None) -> None:
        self._first = first
        self._count = last - first + 1
        self._next = os.getpid() % self._count
        self._folder = folder or Path(tempfile.gettempdir(), FOLDER)
        self._taken: dict[int, int] = {}

    def take(self) -> int | None:
        """An id that nobody has, not one that was given back just now if there are others; None: all are taken."""
        folder = self._open()
        try:
            for step in range(self._count):
                offset = (self._next + step) % self._count
                user = self._first + offset
                if user not in self._taken and self._lock(folder, user):
                    self._next = (offset + 1) % self._count
                    return user
        finally:
            os.close(folder)
        return None

    def give_back(self, user: int) -> None:
        """All processes of this user have ended."""
        os.close(self._taken.pop(user))

    def _open(self) -> int:
        """The folder of the locks.

        Raises:
            OSError: it is not ours alone.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if os.fstat(folder).st_uid != os.geteuid():
            os.close(folder)
            raise PermissionError(f"{self._folder} belongs to somebody else")
        return folder

    def _lock(self, folder: int, user: int) -> bool:
        lock = os.open(str(user), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._taken[user] = lock
        return True
