"""Figure 8: 100,000 models in the registry, 500,000 rows, and what they cost a gateway that does not serve them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import models, shelf
from benchmarks.figures import gateway_memory
from benchmarks.lab import Lab
from benchmarks.paths import MODELS, PYTHON
from benchmarks.shelf import Shelf
from benchmarks.summary import Row, Side, Spread, Target
from benchmarks.timing import Ask, p99
from shoal.control.services.resolving import Resolver
from shoal.core.registry import DEFAULT_NAMESPACE, LATEST

FIGURE = 8
MORE = 5
"""How many times more rows the larger registry has."""


def measure(lab: Lab) -> Iterator[Row]:
    """Registration and look-ups, then the gateway."""
    count = 100_000 if lab.thorough else 3000
    trained = models.train("train_linear.py", PYTHON, MODELS / "linear.joblib").read_bytes()
    with shelf.home("scale") as folder:
        yield from registry(lab, folder, count, trained)
        yield from gateway_memory.rows(lab, folder, count, trained)


def registry(lab: Lab, folder: Path, count: int, trained: bytes) -> Iterator[Row]:
    """How fast models come in, and how fast they are found among few and among many."""
    with shelf.home("rows") as larger, shelf.opened(folder) as few, shelf.opened(larger) as many:
        rates = list(filling(few, count, trained))
        what = f"{count:,} models registered in bulk with artifacts of their own"
        yield lab.alone(FIGURE, what, "models/s", rates, Target(1000.0))
        many.enter(range(MORE * count), trained)
        for what, among_few, among_many in zip(QUESTIONS, asks(few), asks(many), strict=True):
            yield from look_ups(lab, what, count, among_few, among_many)


def filling(few: Shelf, count: int, trained: bytes) -> Iterator[float]:
    """Models per second, in four parts: the last ones come to a registry that is nearly full."""
    content, part = shelf.numbered(trained), count // 4
    for at in range(0, count, part):
        begun = time.perf_counter()
        few.fill(range(at, at + part), content)
        yield part / (time.perf_counter() - begun)


QUESTIONS = ("look-up of the latest version by name", "look-up of a route by its address")


def asks(open_shelf: Shelf) -> tuple[Ask, Ask]:
    """Both questions."""
    registry, resolver = open_shelf.registry, Resolver(open_shelf.registry)
    return lambda name: registry.version(DEFAULT_NAMESPACE, name, LATEST), resolver.resolve


def look_ups(lab: Lab, what: str, count: int, among_few: Ask, among_many: Ask) -> Iterator[Row]:
    """P99 in the smaller registry, and how much longer it is in the larger one, measured in turns."""
    times = 5000 if lab.thorough else 500
    rounds = [
        (p99(among_few, count, times, seed), p99(among_many, MORE * count, times, seed)) for seed in range(lab.repeats)
    ]
    small, large = ([pair[at] for pair in rounds] for at in (0, 1))
    yield lab.alone(FIGURE, f"{what} among {count:,}: P99", "ms", small, Target(5.0, at_least=False))
    ours, other = Side(f"{MORE * count:,} rows", Spread.of(large)), Side(f"{count:,} rows", Spread.of(small))
    ratio = Spread.of([longer / shorter for shorter, longer in rounds])
    title = f"{what} among {MORE * count:,}: P99"
    row = Row(FIGURE, title, "ms", ours, other, ratio, Target(2.0, at_least=False))
    lab.report(row)
    yield row
