"""What only root can give itself: a network and shared memory of one's own, a user of one's own, none of root's rights.

The network has nothing in it, not even a loopback that is up. Sources: unshare(2), capabilities(7), capget(2),
setresuid(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from shoal.serving.worker.confinement import kernel

NEW_IPC = 0x08000000
NEW_NETWORK = 0x40000000
READ_ANY_FILE = 2
"""CAP_DAC_READ_SEARCH: files may be read, and folders entered, whatever their modes say."""
MOST_CAPABILITIES = 64
MOST_LOOKED_AT = 1000
"""Files of a model of which it is asked whether they can be read."""

_CAPSET = {"x86_64": 126, "aarch64": 91}
_VERSION = 0x20080522


def separate(*, network: bool) -> None:
    """Leave the node's namespaces.

    Args:
        network: whether the node's network is to be kept.

    Raises:
        OSError: the kernel does not.
    """
    kernel.unshare(NEW_IPC if network else NEW_IPC | NEW_NETWORK)


def become(user: int) -> None:
    """Take this user and group, and no other group; what root may is kept until `keep_only`.

    Raises:
        OSError: we are not root, or the number is not one that we may use here.
    """
    for each in range(MOST_CAPABILITIES):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, each)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            break
    kernel.prctl(kernel.PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def keep_only(capabilities: Iterable[int]) -> None:
    """Give up all capabilities but these.

    Raises:
        OSError: the kernel does not.
    """
    number = _CAPSET.get(kernel.MACHINE)
    if number is None:
        raise OSError(errno.ENOSYS, f"no number of capset for {kernel.MACHINE}")
    mask = sum(1 << each for each in capabilities)
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION, 0))
    data = ctypes.create_string_buffer(struct.pack("=6I", mask, mask, 0, 0, 0, 0))
    kernel.call(number, header, data)
    kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    kernel.prctl(kernel.PR_SET_KEEPCAPS, 0)


def can_read(paths: Iterable[str]) -> bool:
    """Whether all of these that are there can be read, and so can what is in the folders."""
    left = MOST_LOOKED_AT
    for path in paths:
        if not _readable(path):
            return False
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                left -= 1
                if not _readable(os.path.join(folder, name)):
                    return False
            if left <= 0:
                break
    return True


def _readable(path: str) -> bool:
    """Of a path that cannot be reached it is not known whether it is there: it counts as there."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return os.access(path, os.R_OK | os.X_OK if os.path.isdir(path) else os.R_OK, effective_ids=True)
