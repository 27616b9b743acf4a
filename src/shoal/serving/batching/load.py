"""What the workers of a model have had to do: the figures that scaling goes by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a runner has had to do so far.

    Attributes:
        in_flight: requests that run or wait now.
        requests: with an outcome, ever.
        counts: of them by time, one more than there are bounds.
        bounds: upper bounds in seconds.
        cpu_seconds: of its worker processes, ever; None if they are not its own.
        ready: workers that take requests.
    """

    in_flight: int
    requests: int
    counts: Sequence[int]
    bounds: Sequence[float]
    cpu_seconds: float | None
    ready: int


def cpu_seconds(processes: Iterable[int]) -> float:
    """The processor time that these processes have used; those that are no more count nothing."""
    return sum(map(_used, processes)) / _TICKS


def _used(process: int) -> int:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
