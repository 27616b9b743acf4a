"""Where a SQLite database may lie, and whose it is.

One process at a time has it: the lock beside the file is held from opening to closing, and goes with the process that
holds it, however that ends. SQLite's own locks would let a second server in, whose feed numbers the first never sees.
File systems of networks are refused: neither locks nor shared memory can be relied on there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from shoal.core.errors import ConfigError

_NETWORKED = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone"}
)
_MOUNTS = Path("/proc/self/mounts")


class Lock:
    """The exclusive right to a database file.

    Raises:
        ConfigError: its folder cannot be used, or another process has it.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, database: Path) -> Self:
        """Make the folder if need be, and lock the file."""
        try:
            database.parent.mkdir(parents=True, exist_ok=True)
            refuse_networked(database.parent)
            handle = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "name a folder that can be written, or a PostgreSQL URL"
            raise ConfigError(
                f"the registry cannot be kept in {database.parent}: {error.strerror}", hint=hint
            ) from error
        return cls(_locked(handle, database))

    def release(self) -> None:
        """Let others have it."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _locked(handle: int, database: Path) -> int:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
        os.close(handle)
        hint = "stop it, or give this one another database; several servers can share a PostgreSQL"
        raise ConfigError(f"process {holder or 'of another server'} uses the registry {database}", hint=hint) from error
    with contextlib.suppress(OSError):  # a full disk: who it is will not be told, but the lock holds
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d" % os.getpid(), 0)
    return handle


def refuse_networked(folder: Path) -> None:
    """Refuse a folder on another machine.

    Raises:
        ConfigError: it is on one.
    """
    kind = file_system(os.path.realpath(folder), _MOUNTS.read_text() if _MOUNTS.exists() else "")
    if kind in _NETWORKED:
        hint = "name a folder on a local disk, or a PostgreSQL URL"
        raise ConfigError(f"the registry's SQLite database cannot be on a network file system ({kind})", hint=hint)


def file_system(folder: str, mounts: str) -> str:
    """The type of the file system that holds a folder, by the kernel's table of mounts; "" if that does not say."""
    found = ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = [*line.split(" "), "", "", ""]
        point = point.replace("\\040", " ")
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]
