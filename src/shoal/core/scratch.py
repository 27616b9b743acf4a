"""Folders for temporary files that a killed process leaves to whoever comes after it.

Each holds a lock for as long as the process lives that made it: the kernel gives it up with the process, whatever ends
that. Who makes the next folder of the same kind removes those whose lock nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

LOCK = "lock"
SECRET = 0o700


class Scratch:
    """A new folder, for this process and those that it tells of it. What others of its kind have left goes.

    Args:
        prefix: of its name, the same for all of a kind.
        root: where it is made; None: where temporary files go.
        mode: who can enter it.

    Attributes:
        path: the folder.

    Raises:
        OSError: none can be made.
    """

    def __init__(self, prefix: str, *, root: Path | None = None, mode: int = SECRET) -> None:
        root = root or Path(tempfile.gettempdir())
        remove_stale(root, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        self.path.chmod(mode)
        self._lock = os.open(self.path / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.rename(self.path / "new", self.path / LOCK)  # whoever sees it finds it locked

    def close(self) -> None:
        """Remove it."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def remove_stale(root: Path, prefix: str) -> None:
    """Remove the folders of this kind whose processes are no more, if they are this user's."""
    for folder in root.glob(f"{prefix}*"):
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
