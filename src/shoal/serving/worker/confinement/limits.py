"""What one worker may have of things that a machine has only so many of.

Where a worker has a user of its own, processes are counted for it alone. Elsewhere the kernel counts all that the user
has, of whatever program, so the limit is above what there is on the whole machine now: it ends a fork bomb, late.
"""

from __future__ import annotations

import contextlib
import resource

from shoal.core.confinement import Plan

MOST = 1 << 22
"""Processes that there can be at all."""


def limit_files(plan: Plan) -> None:
    """No core dumps; so many open files, each so large.

    Raises:
        OSError, ValueError: the kernel does not.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, plan.open_files)
    _lower(resource.RLIMIT_FSIZE, plan.file_bytes)


def limit_processes(plan: Plan, *, alone: bool) -> None:
    """So many processes and threads.

    Args:
        plan: says how many.
        alone: whether nobody else has the same user.

    Raises:
        OSError, ValueError: the kernel does not.
    """
    _lower(resource.RLIMIT_NPROC, min(plan.processes + (0 if alone else running()), MOST))


def running() -> int:
    """Processes and threads on this machine now; 0 if that cannot be known."""
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[3].split("/")[1])
    return 0


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    least = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (least, least))
