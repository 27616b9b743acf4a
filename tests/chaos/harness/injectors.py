"""How processes, disks and clocks are hurt. What the machine does not allow is skipped, and said."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.tools import needs

SHIM = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static long long shift(void) {
    static volatile long long *at;
    if (!getenv("CHAOS_CLOCK")) return 0;
    if (!at) {
        int file = open(getenv("CHAOS_CLOCK"), O_RDONLY);
        void *mapped = mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED) abort();
        at = mapped;
    }
    return *at;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *into) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into) *into = exact.tv_sec;
    return exact.tv_sec;
}
"""
"""Moves the wall clock of one process tree by the seconds in a file, and leaves the monotonic clock alone."""


def send(pid: int, number: int) -> None:
    """A signal; to a process that has just gone, none."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def until(what: Callable[[], bool], seconds: float = 30.0, every: float = 0.02) -> float:
    """Wait for something that processes bring about; returns the seconds that it took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() < begun + seconds, f"it did not come about within {seconds:g} s"
        time.sleep(every)
    return time.monotonic() - begun


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Processes that get no time (SIGSTOP); they may be killed."""
    for pid in pids:
        send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Processes in a cgroup that is frozen. Where the old freezer does it, even SIGKILL waits until the end of this."""
    group = _freezer()
    state, frost, thaw = group / "freezer.state", "FROZEN", "THAWED"
    if not state.exists():
        state, frost, thaw = group / "cgroup.freeze", "1", "0"
    try:
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        state.write_text(frost)
        yield
    finally:
        state.write_text(thaw)
        until(lambda: _left(group))


def _freezer() -> Path:
    for root in (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup")):
        group = root / f"shoal-chaos-{os.getpid()}-{time.monotonic_ns()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "freezer.state").exists() or (group / "cgroup.freeze").exists():
            return group
        group.rmdir()
    pytest.skip("this machine has no freezer that may be written")


def _left(group: Path) -> bool:
    """Whether a group is empty and gone; what still runs in it goes back to the first group."""
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(OSError):
            (group.parent / "cgroup.procs").write_text(pid)
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


class WallClock:
    """The wall clock of whoever is started with `environment`."""

    def __init__(self, folder: Path) -> None:
        compiler = needs("cc")  # without it the clock of a running node cannot be moved
        library, source, self._file = folder / "clock.so", folder / "clock.c", folder / "shift"
        source.write_text(SHIM)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
        self.move(0)
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """Let the wall clock be so many seconds ahead (behind, if negative) of the real one."""
        if self._file.exists():
            with self._file.open("r+b") as file:
                file.write(struct.pack("q", seconds))
        else:
            self._file.write_bytes(struct.pack("q", seconds))
