"""Counters and histograms that cost next to nothing on the request's path.

A family has a name, a help text and label names; a child is bound once (`family.labels("iris")`) and then used without
look-ups. Label values come from models that are loaded, never from what a client sends, and a family holds at most
`MAX_CHILDREN` of them: whatever comes after goes to one child labelled "other". How they are shown is
`shoal.monitor.exposition`'s matter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

MAX_CHILDREN = 10_000

SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)


class Counter:
    """A number that only grows; add to `value` directly on the hot path."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, by: float = 1.0) -> None:
        self.value += by


class Gauge:
    """A number as it stands now."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def set(self, value: float) -> None:
        self.value = value


class Histogram:
    """Counts per bucket, upper bounds inclusive, and the sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


Child = TypeVar("Child", Counter, Gauge, Histogram)


class Family(Generic[Child]):
    """All children of one metric."""

    def __init__(self, name: str, help: str, labels: tuple[str, ...], make: Callable[[], Child]) -> None:
        self.name = name
        self.help = help
        self.label_names = labels
        self._make: Callable[[], Child] = make
        self.children: dict[tuple[str, ...], Child] = {}

    def labels(self, *values: str) -> Child:
        """The child for these label values, in the order of the label names."""
        child = self.children.get(values)
        if child is None:
            if len(self.children) >= MAX_CHILDREN:
                values = ("other",) * len(self.label_names)
            child = self.children.setdefault(values, self._make())
        return child

    def remove(self, *values: str) -> None:
        """Forget a child, for a model that is gone."""
        self.children.pop(values, None)


AnyFamily = Family[Counter] | Family[Gauge] | Family[Histogram]


class Metrics:
    """The families of one process."""

    def __init__(self) -> None:
        self.families: list[AnyFamily] = []

    def counter(self, name: str, help: str, labels: tuple[str, ...] = ()) -> Family[Counter]:
        family = Family[Counter](name, help, labels, Counter)
        self.families.append(family)
        return family

    def gauge(self, name: str, help: str, labels: tuple[str, ...] = ()) -> Family[Gauge]:
        family = Family[Gauge](name, help, labels, Gauge)
        self.families.append(family)
        return family

    def histogram(
        self, name: str, help: str, labels: tuple[str, ...] = (), bounds: Sequence[float] = SECONDS
    ) -> Family[Histogram]:
        family = Family[Histogram](name, help, labels, lambda: Histogram(bounds))
        self.families.append(family)
        return family
