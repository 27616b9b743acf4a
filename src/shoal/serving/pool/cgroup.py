"""A memory limit that the kernel keeps: cgroup v2 or v1 where it may be written, else `RLIMIT_DATA`.

The cgroup counts what is really used and tells of an OOM kill; the rlimit counts what is asked for, and makes the
allocation fail inside the worker. Either way only the worker that asked for too much is hurt.
"""

from __future__ import annotations

import itertools
import logging
import os
import resource
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    """A cgroup made for one worker."""

    path: Path
    limit_file: str
    events_file: str

    def oom_kills(self) -> int:
        """How often the kernel has killed in here for want of memory."""
        try:
            lines = (self.path / self.events_file).read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self) -> None:
        """Delete it; its processes are gone."""
        try:
            self.path.rmdir()
        except OSError as error:
            logger.debug("cgroup stays", extra={"path": str(self.path), "error": str(error)})


def limit_memory(pid: int, limit: int) -> MemoryCgroup | None:
    """Give a process that has just started a memory limit in bytes; None if it had to be an rlimit."""
    for root, limit_file, events_file in (
        (V1, "memory.limit_in_bytes", "memory.oom_control"),
        (V2, "memory.max", "memory.events"),
    ):
        group = MemoryCgroup(root / f"shoal-{os.getpid()}-{next(_numbers)}", limit_file, events_file)
        if _enter(group, pid, limit):
            return group
    resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    return None


def remove_stale() -> None:
    """Delete the cgroups of nodes that were killed before they could."""
    for root in (V1, V2):
        for path in root.glob("shoal-*-*"):
            owner = path.name.split("-")[1]
            if not Path("/proc", owner).exists():
                MemoryCgroup(path, "", "").remove()


def _enter(group: MemoryCgroup, pid: int, limit: int) -> bool:
    try:
        group.path.mkdir()
    except OSError:
        return False
    try:
        if not (group.path / group.limit_file).exists():
            raise FileNotFoundError(group.limit_file)
        (group.path / group.limit_file).write_text(str(limit))
        (group.path / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        logger.debug("no memory cgroup", extra={"path": str(group.path), "error": str(error)})
        group.remove()
        return False
    return True
