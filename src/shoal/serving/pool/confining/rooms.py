"""Folders of workers: one each, its home and its temporary files, gone with it.

They are below one folder of the node's, which holds a lock for as long as the node lives. What a node that was killed
has left behind is seen by its lock, and removed when the next node starts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "shoal-workers-"
LOCK = "lock"
SECRET = 0o700
ENTERED = 0o711
"""A worker with a user of its own goes through the node's folder to its own, and sees nothing else in there."""


class Rooms:
    """See the module. It makes the node's folder when the first worker needs one.

    Args:
        root: where the node's folder is made; None: where temporary files go.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or Path(tempfile.gettempdir())
        self._folder: Path | None = None
        self._lock = -1

    def make(self, user: int | None) -> Path:
        """A new folder.

        Args:
            user: whom it belongs to; None: who runs the node.

        Raises:
            OSError: none can be made.
        """
        room = Path(tempfile.mkdtemp(prefix="", dir=self._home()))
        if user is not None:
            os.chown(room, user, user)
        return room

    def _home(self) -> Path:
        if self._folder is None:
            remove_stale(self._root)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._root))
            folder.chmod(ENTERED)
            self._lock = os.open(folder / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            os.rename(folder / "new", folder / LOCK)  # whoever sees it finds it locked
            self._folder = folder
        return self._folder

    def close(self) -> None:
        """Remove all of them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._lock)
            self._folder = None


def remove_stale(root: Path) -> None:
    """Remove the folders of nodes that are no more."""
    for folder in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid():
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
