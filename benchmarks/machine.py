"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """Processor, cores, memory, kernel, interpreter, generators, and how busy it was before."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    wrk: str
    h2load: str
    load_before: float
    measured: str


def describe() -> Machine:
    """This machine, now."""
    return Machine(
        processor=_first("model name", Path("/proc/cpuinfo").read_text()) or platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=platform.release().split("-")[0],
        python=platform.python_version(),
        wrk=_version(["wrk", "-v"]),
        h2load=_version(["h2load", "--version"]),
        load_before=round(os.getloadavg()[0], 2),
        measured=time.strftime("%Y-%m-%d"),
    )


def _first(name: str, text: str) -> str:
    found = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(name)]
    return found[0] if found else ""


def _version(command: list[str]) -> str:
    """First words of what the tool says about itself, or "missing"."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "missing"
    return " ".join((done.stdout + done.stderr).split()[:2])
