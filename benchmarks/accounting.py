"""What a server costs: its processes, their CPU time, memory and cores, read from ``/proc``.

A server is a tree: the process that was started, its descendants, and whatever shares a session with one of them
(daemons whose parent has left). Processes that vanish while being read count as nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Process:
    """One line of ``/proc/PID/stat``: ids, and CPU seconds of it and of its children that have ended."""

    pid: int
    parent: int
    session: int
    cpu_seconds: float
    state: str


def parse_stat(pid: int, text: str) -> Process:
    """Reads ``/proc/PID/stat``; the command's name may hold blanks and parentheses."""
    fields = text.rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(pid, int(fields[1]), int(fields[3]), ticks / TICKS, fields[0])


def processes() -> dict[int, Process]:
    """All processes of the machine by pid."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = parse_stat(int(entry.name), (entry / "stat").read_text())
            except OSError:
                continue
    return found


def tree(root: int, table: Mapping[int, Process], outside: Collection[int] = ()) -> set[int]:
    """The pids of the server started as `root`; sessions in `outside` (the benchmark's own) are not followed."""
    members = {root} & table.keys()
    while True:
        sessions = {table[pid].session for pid in members} - set(outside)
        grown = {each.pid for each in table.values() if each.parent in members or each.session in sessions}
        if grown <= members:
            return members
        members |= grown


def cpu_seconds(pids: Iterable[int], table: Mapping[int, Process]) -> float:
    """User and system time of the processes."""
    return sum(table[pid].cpu_seconds for pid in pids if pid in table)


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB.

    Attributes:
        rss: all pages; shared ones count for each process.
        pss: shared pages divided by their users, who may be other programs.
        anonymous: pages of no file: heaps and stacks, which is what leaks.
    """

    rss: float = 0.0
    pss: float = 0.0
    anonymous: float = 0.0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss, self.anonymous + other.anonymous)


def parse_rollup(text: str) -> Memory:
    """Reads ``smaps_rollup``."""
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in text.splitlines()[1:] if line.endswith("kB")}
    return Memory(sizes.get("Rss", 0.0), sizes.get("Pss", 0.0), sizes.get("Anonymous", 0.0))


def memory(pids: Iterable[int]) -> Memory:
    """What the processes hold together."""
    total = Memory()
    for pid in pids:
        try:
            total += parse_rollup((PROC / str(pid) / "smaps_rollup").read_text())
        except OSError:
            continue
    return total


def listening_inodes(table: str, port: int) -> set[str]:
    """Inodes of the sockets that listen on the port, from the text of ``/proc/net/tcp``."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


def owner_of_port(pids: Iterable[int], port: int) -> int | None:
    """Which of the processes listens on the TCP port."""
    inodes = {f"socket:[{inode}]" for inode in listening_inodes((PROC / "net/tcp").read_text(), port)}
    for pid in sorted(pids):
        try:
            files = [os.readlink(each) for each in (PROC / str(pid) / "fd").iterdir()]
        except OSError:
            continue
        if inodes.intersection(files):
            return pid
    return None


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody uses just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
