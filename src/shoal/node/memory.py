"""How much memory a node and its workers take, and how much they may.

Where the settings name a limit, what the process and its descendants have in memory by themselves counts against it.
Otherwise what counts is the cgroup that the process is in, if that has a limit: a container has one, a laptop has none.
Of a cgroup's use, what the kernel can drop at once (files that nobody has used lately) does not count.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
NO_LIMIT = 2**60
"""Bytes; what cgroup v1 says where there is none is more."""

_PAGE = os.sysconf("SC_PAGE_SIZE")

Used = Callable[[], float]
"""The part of its memory that the node takes, 1.0 is all; 0 where nothing limits it."""


def used_of(limit: int | None, *, root: Path = CGROUPS) -> Used:
    """What measures the use against a limit in bytes, or against the cgroup's."""
    if limit is not None:
        return lambda: sum(map(_private_bytes, _tree(os.getpid()))) / limit
    for folder in _cgroups(root):
        if (most := _number(folder / "memory.max")) is not None:
            return partial(_used, folder, "memory.current", "inactive_file", most)
        most = _number(folder / "memory.limit_in_bytes")
        if most is not None and most < NO_LIMIT:
            return partial(_used, folder, "memory.usage_in_bytes", "total_inactive_file", most)
    return lambda: 0.0


def _cgroups(root: Path) -> Iterator[Path]:
    """The cgroup of this process in v2 and v1, and the topmost that can be seen: in a container that is its own."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            yield root / path.lstrip("/")
        elif "memory" in controllers.split(","):
            yield root / "memory" / path.lstrip("/")
    yield root
    yield root / "memory"


def _used(folder: Path, current: str, droppable: str, most: int) -> float:
    used = _number(folder / current) or 0
    lines = _text(folder / "memory.stat").splitlines()
    free = next((int(line.split()[1]) for line in lines if line.startswith(f"{droppable} ")), 0)
    return max(0, used - free) / most


def _tree(process: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield process
    for child in _text(Path(f"/proc/{process}/task/{process}/children")).split():
        yield from _tree(int(child))


def _private_bytes(process: int) -> int:
    """What a process has in memory and shares with no other."""
    fields = _text(Path(f"/proc/{process}/statm")).split()
    return (int(fields[1]) - int(fields[2])) * _PAGE if len(fields) > 2 else 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
