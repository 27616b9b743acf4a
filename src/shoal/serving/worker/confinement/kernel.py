"""Calls of the kernel that Python has no name for, by ctypes. Errors are `OSError`, as everywhere.

Sources: prctl(2), capget(2), unshare(2), landlock(7), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

LINUX = sys.platform.startswith("linux")
MACHINE = os.uname().machine

PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None
if _libc is not None:
    _libc.syscall.restype = ctypes.c_long


def call(number: int, *arguments: object) -> int:
    """A system call by its number on this machine; whole numbers are passed as 64 bits.

    Raises:
        OSError: what the kernel said.
    """
    if _libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *given)))


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process.

    Raises:
        OSError: what the kernel said.
    """
    if _libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(int(_libc.prctl(option, *map(ctypes.c_ulong, padded))))


def unshare(flags: int) -> None:
    """Leave namespaces for new ones.

    Raises:
        OSError: what the kernel said.
    """
    if _libc is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    _checked(int(_libc.unshare(ctypes.c_int(flags))))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
