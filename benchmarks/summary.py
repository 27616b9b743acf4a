"""From samples to rows of the table: medians, spreads, ratios and whether a target is met. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One timed run against one server.

    Attributes:
        rate: good answers per second.
        p50, p95, p99: latencies in milliseconds.
        requests: good answers.
        errors: anything else; must be 0.
        cpu_per_1000: CPU seconds of the whole server per 1,000 good answers.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    requests: int
    errors: int = 0
    cpu_per_1000: float = 0.0


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of a few values."""

    median: float
    least: float
    greatest: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Target:
    """What a median has to reach."""

    bound: float
    at_least: bool = True

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Side:
    """One server's share of a row."""

    name: str
    value: Spread
    cpu_per_1000: float | None = None
    p50: float | None = None
    p99: float | None = None
    pss_mib: float | None = None
    start_seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        figure: the figure's number.
        what: what was measured.
        unit: of the sides' values.
        ours: Shoal's side, or None when it failed.
        theirs: whom it is compared with, if anyone.
        ratio: ours over theirs, round by round.
        target: for the ratio, or for our own value where there is no ratio.
        failure: why there is no figure, in one line.
    """

    figure: int
    what: str
    unit: str
    ours: Side | None = None
    theirs: Side | None = None
    ratio: Spread | None = None
    target: Target | None = None
    failure: str = ""
    against: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target. A row that failed has not met it."""
        if self.target is None:
            return None
        measured = self.ratio or (self.ours.value if self.ours else None)
        return bool(measured and not self.failure and self.target.met(measured.median))


@dataclass
class Rounds:
    """The samples of one server in one comparison, with what it took to run it."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    pss_mib: float | None = None
    start_seconds: float | None = None

    def side(self, value: Callable[[Sample], float]) -> Side:
        """Medians of all figures, with the spread of the one that the row is about."""
        return Side(
            name=self.name,
            value=Spread.of([value(each) for each in self.samples]),
            cpu_per_1000=statistics.median(each.cpu_per_1000 for each in self.samples),
            p50=statistics.median(each.p50 for each in self.samples),
            p99=statistics.median(each.p99 for each in self.samples),
            pss_mib=self.pss_mib,
            start_seconds=self.start_seconds,
        )


def rate(sample: Sample) -> float:
    """Answers per second."""
    return sample.rate


def compare(figure: int, what: str, ours: Rounds, theirs: Rounds, target: Target | None = None) -> Row:
    """A row of throughput: ratios are taken between neighbours in time, so that the machine's drift cancels."""
    ratios = [mine.rate / other.rate for mine, other in zip(ours.samples, theirs.samples, strict=True)]
    return Row(figure, what, "requests/s", ours.side(rate), theirs.side(rate), Spread.of(ratios), target)
