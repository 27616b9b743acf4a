"""Models that are called as people call them: few often, most hardly ever (Zipf's law with exponent 1.1)."""

from __future__ import annotations

import itertools
import random
import statistics
from dataclasses import dataclass, field

from benchmarks import calls
from benchmarks.calls import Outcome, Plan
from benchmarks.lab import Lab
from benchmarks.running import Server
from benchmarks.summary import Rounds, Side, Spread

EXPONENT = 1.1
AGAIN = 3
"""MLServer closes connections that have waited for a load; its caller connects anew."""
LIMIT = 600.0
"""Seconds that a call may take: where a load takes seconds, all wait for each of them."""


@dataclass(frozen=True)
class Size:
    """How many models there are, how many fit, how many of them count as hot, and calls in a timed run."""

    models: int = 10_000
    kept: int = 500
    hot: int = 100
    calls: int = 10_000


QUICK = Size(models=600, kept=60, hot=20, calls=1000)


def zipf(count: int, times: int, seed: int) -> list[int]:
    """Which models are called, out of so many; 0 is the most popular."""
    weights = list(itertools.accumulate(1 / (rank + 1) ** EXPONENT for rank in range(count)))
    return random.Random(seed).choices(range(count), cum_weights=weights, k=times)


@dataclass
class Player:
    """One side of the comparison: a running server, and what its caller has to remember.

    Attributes:
        keep: models that the caller keeps loaded; 0: the server does.
    """

    server: Server
    keep: int = 0
    held: list[int] = field(default_factory=list)
    rounds: Rounds = field(default_factory=lambda: Rounds(""))
    scored: list[tuple[list[int], Outcome]] = field(default_factory=list)

    def begin(self, lab: Lab) -> None:
        """Forget what was scored before."""
        self.rounds, self.scored = lab.rounds(self.server), []

    def play(self, order: list[int], *, rate: float = 0.0) -> Outcome:
        """Make these calls."""
        port, again = self.server.site.http, AGAIN if self.keep else 0
        plan = Plan(port=port, models=order, keep=self.keep, held=self.held, rate=rate, again=again, timeout=LIMIT)
        outcome = calls.call(plan)
        self.held = outcome.held
        return outcome

    def score(self, order: list[int], *, rate: float = 0.0) -> None:
        """Make these calls, and keep what came of it."""
        before = self.server.cpu_seconds()
        outcome = self.play(order, rate=rate)
        self.scored.append((order, outcome))
        self.rounds.samples.append(calls.sample(outcome, self.server.cpu_seconds() - before))

    def latency(self, which: range) -> Side:
        """P99 of the calls of these models, with its spread over the rounds."""
        values = Spread.of(self.p99s(which))
        p50 = statistics.median(each.p50 for each in self._parts(which))
        cpu = statistics.median(each.cpu_per_1000 for each in self.rounds.samples)
        return Side(self.rounds.name, values, cpu, p50, values.median)

    def p99s(self, which: range) -> list[float]:
        """P99 of the calls of these models, round by round."""
        return [each.p99 for each in self._parts(which)]

    def _parts(self, which: range) -> list[calls.Part]:
        return [calls.part(calls.times_of(order, outcome, which)) for order, outcome in self.scored]
