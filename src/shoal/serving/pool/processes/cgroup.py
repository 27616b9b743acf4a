"""Limits of one worker that the kernel keeps: memory and processor time, by cgroup v2 or v1 where they may be written.

Memory: the cgroup counts what is really used and tells of an OOM kill; without one, `RLIMIT_DATA` counts what is asked
for, and makes the allocation fail inside the worker. Processor time: a quota of each tenth of a second; without a
cgroup there is none, and what is left are the thread limits. Either way only the worker that asks for too much is hurt.
"""

from __future__ import annotations

import itertools
import logging
import os
import resource
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

V2 = Path("/sys/fs/cgroup")
V1_MEMORY = V2 / "memory"
V1_CPU = V2 / "cpu"
PERIOD_US = 100_000
"""The time over which a quota of processor time is counted."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Cage:
    """The cgroups of one worker.

    Attributes:
        paths: their folders; one for both in v2, one for each in v1.
        events: the file that tells of OOM kills, or None where memory is not limited by a cgroup.
    """

    paths: tuple[Path, ...]
    events: Path | None = None

    def oom_kills(self) -> int:
        """How often the kernel has killed in here for want of memory."""
        if self.events is None:
            return 0
        try:
            lines = self.events.read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self) -> None:
        """Delete them; their processes are gone."""
        for path in self.paths:
            try:
                path.rmdir()
            except OSError as error:
                logger.debug("cgroup stays", extra={"path": str(path), "error": str(error)})


def limit(pid: int, *, memory_bytes: int | None = None, cpu: float | None = None) -> Cage:
    """Give a process that has just started its limits; what cannot be had from cgroups is made up for, or told.

    Args:
        pid: the process.
        memory_bytes: what it may use, or None.
        cpu: processors that it may use, or None.
    """
    name = f"shoal-{os.getpid()}-{next(_numbers)}"
    paths: list[Path] = []
    events: Path | None = None
    if memory_bytes is not None:
        events = _limit_memory(name, pid, memory_bytes, paths)
        if events is None:
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    if cpu is not None and not _limit_cpu(name, pid, cpu, paths):
        logger.debug("no processor limit", extra={"pid": pid})
    return Cage(tuple(dict.fromkeys(paths)), events)


def _limit_memory(name: str, pid: int, bytes: int, paths: list[Path]) -> Path | None:
    choices = ((V1_MEMORY, "memory.limit_in_bytes", "memory.oom_control"), (V2, "memory.max", "memory.events"))
    for root, file, events in choices:
        if _enter(root / name, pid, {file: str(bytes)}):
            paths.append(root / name)
            return root / name / events
    return None


def _limit_cpu(name: str, pid: int, cpu: float, paths: list[Path]) -> bool:
    quota = max(1000, round(cpu * PERIOD_US))
    v1 = {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    for root, files in ((V1_CPU, v1), (V2, {"cpu.max": f"{quota} {PERIOD_US}"})):
        if _enter(root / name, pid, files):
            paths.append(root / name)
            return True
    return False


def remove_stale() -> None:
    """Delete the cgroups of nodes that were killed before they could."""
    for root in (V1_MEMORY, V1_CPU, V2):
        for path in root.glob("shoal-*-*"):
            owner = path.name.split("-")[1]
            if not Path("/proc", owner).exists():
                Cage((path,)).remove()


def _enter(path: Path, pid: int, files: dict[str, str]) -> bool:
    """Put a process into a cgroup with these settings; nothing is left behind if that is not possible."""
    try:
        path.mkdir(exist_ok=True)
    except OSError:
        return False
    try:
        for file, value in files.items():
            if not (path / file).exists():
                raise FileNotFoundError(file)
            (path / file).write_text(value)
        (path / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        logger.debug("no cgroup", extra={"path": str(path), "error": str(error)})
        Cage((path,)).remove()
        return False
    return True
