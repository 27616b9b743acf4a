"""What a server holds on its machine, as the kernel sees it: what must be back where it was once a campaign is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from support.processes import children, descriptors, resident_bytes, workers

MEBI = 1024 * 1024
SHARED = Path("/dev/shm")
LOCKS = "shoal-users"


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of the server's own processes; of workers, only how many there are.

    Attributes:
        resident_mebi: memory.
        descriptors, threads: open files, and threads.
        zombies: children that ended and were not waited for.
        workers: that run.
        shared: names in `/dev/shm`, and shared memory without a name that is mapped.
        temporary: files and folders in its folder for what is temporary; only how many there are counts.
    """

    resident_mebi: int
    descriptors: int
    threads: int
    zombies: int
    workers: int
    shared: int
    temporary: frozenset[str] = frozenset()


ROOM = Footprint(resident_mebi=24, descriptors=4, threads=4, zombies=0, workers=0, shared=0)
"""What may be more afterwards: the allocator's and the memos' own size; a thread that waits for its next work."""
FOR_A_SPARE = Footprint(resident_mebi=0, descriptors=6, threads=0, zombies=0, workers=1, shared=0)
"""What one more worker takes of its server."""


def measure(main: int, temporary: Path) -> Footprint:
    """Of a server with this first process, now."""
    own = own_processes(main)
    return Footprint(
        resident_mebi=sum(map(resident_bytes, own)) // MEBI,
        descriptors=sum(map(descriptors, own)),
        threads=sum(len(os.listdir(f"/proc/{pid}/task")) for pid in own),
        zombies=sum(map(_zombies, own)),
        workers=len(all_workers(main)),
        temporary=_names(temporary),
        shared=len(list(SHARED.glob("shoal*"))) + sum(map(_mapped, own)),
    )


def own_processes(main: int) -> list[int]:
    """The first process, and its descendants that are no workers."""
    found = [main]
    for pid in found:
        hired = set(workers(pid))
        found.extend(child for child in children(pid) if child not in hired)
    return found


def all_workers(main: int) -> list[int]:
    """The workers of a server, whichever of its processes started them."""
    return [worker for pid in own_processes(main) for worker in workers(pid)]


def grown(before: Footprint, after: Footprint, spares: int = 0) -> list[str]:
    """What is more than it was, in sentences; fewer workers are wrong as well.

    Args:
        before, after: what is compared.
        spares: quarantine workers that may still be there, as they stay for a while after their work.
    """
    found = []
    if len(after.temporary) > len(before.temporary) + spares * FOR_A_SPARE.workers:
        found.append(f"temporary: {sorted(after.temporary - before.temporary)} came")
    for each in fields(Footprint)[:-1]:
        was, now, more, spare = (int(getattr(one, each.name)) for one in (before, after, ROOM, FOR_A_SPARE))
        if now > was + more + spare * spares or (each.name == "workers" and now < was):
            found.append(f"{each.name}: {was} became {now}")
    return found


def settled(check: Callable[[], list[str]], seconds: float = 20.0) -> list[str]:
    """What a check still finds after so long; it is asked again until it finds nothing."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = check()
        except OSError as error:  # a process has just gone
            found = [f"{error}"]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.1)


def alive(pids: Iterable[int]) -> list[int]:
    """Those that still run."""
    return [pid for pid in pids if _state(pid) not in ("Z", "X", "")]


def _names(folder: Path) -> frozenset[str]:
    """Of all files and folders, but for the locks of user ids: there is one for each id that was ever taken."""
    names = (path.relative_to(folder) for path in folder.rglob("*"))
    return frozenset(str(name) for name in names if name.parts[0] != LOCKS)


def _zombies(pid: int) -> int:
    listed = Path(f"/proc/{pid}/task")
    of_threads = (task / "children" for task in listed.iterdir())
    born = [int(child) for file in of_threads if file.exists() for child in file.read_text().split()]
    return sum(_state(child) == "Z" for child in born)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _mapped(pid: int) -> int:
    maps = Path(f"/proc/{pid}/maps").read_text()
    return sum("/dev/shm/" in line or "/memfd:" in line for line in maps.splitlines())
