"""What the workers of a model have had to do: the figures that scaling goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
