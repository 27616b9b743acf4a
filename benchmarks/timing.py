"""Times of questions that are asked one after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from benchmarks.driver import percentile
from benchmarks.shelf import name_of

Ask = Callable[[str], object]
WARM = 100


def p99(ask: Ask, count: int, times: int, seed: int) -> float:
    """In milliseconds, of models at random out of so many; a few are asked for before."""
    chosen = random.Random(seed)
    names = [name_of(chosen.randrange(count)) for _ in range(times + WARM)]
    found = []
    for name in names:
        begun = time.perf_counter()
        ask(name)
        found.append(1000 * (time.perf_counter() - begun))
    return percentile(sorted(found[WARM:]), 0.99)
