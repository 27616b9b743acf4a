"""A process of ours never outlives the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel for SIGKILL when the parent's thread ends; leave at once if it has ended already.

    Source: prctl(2), PR_SET_PDEATHSIG. Does nothing where there is no prctl.

    Args:
        parent: its process id; without it, a parent that ended before this was called is not noticed.
    """
    parent = parent or os.getppid()
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)
