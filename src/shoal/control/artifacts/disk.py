"""Files on a disk that may be full, refuse, or break: what happened is said in the words of `core.errors`."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.core.errors import PermissionDenied, ShoalError, StorageFull, Unavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn what the system says into a typed error; `what` begins its sentence, such as "the artifact store"."""
    try:
        yield
    except OSError as error:
        raise tell(what, error) from error


def tell(what: str, error: OSError) -> ShoalError:
    """The typed error of a system's error."""
    reason = error.strerror or "it cannot be used"
    if error.errno in _FULL:
        return StorageFull(f"{what} has no room left: {reason}", hint="make room there, or give it a larger disk")
    if error.errno in _REFUSED:
        return PermissionDenied(f"{what} may not be used: {reason}", hint="check the owner and mode of its folder")
    return Unavailable(f"{what} cannot be used: {reason}", hint="check the disk it is on")


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything; a disk may take less at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(folder: Path) -> None:
    """Make all that was written to the file system of a folder durable, in one step.

    Raises:
        OSError: something that was written to it could not be kept.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; it may be gone already."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock file, among the threads of all processes of this machine; the end of a process ends its locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


_libc = ctypes.CDLL(None, use_errno=True)
