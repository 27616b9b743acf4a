"""The second part of figure 10: what the models that are always in memory feel of the loads of the others."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab import Lab
from benchmarks.popularity import Player, Size, zipf
from benchmarks.summary import Row, Side, Spread, Target

FIGURE = 10


def rows(lab: Lab, size: Size, ours: Player) -> Iterator[Row]:
    """At a constant pace, half of what is reached with loads: all models by popularity, and only those that fit.

    Calls come when they are due, whatever the server does, and their time counts from then. As fast as answers come
    the comparison would not be one: with fewer calls to serve beside the loads, hot ones would find shorter queues.
    """
    reached = ours.play(zipf(size.models, size.calls, 0)).rate
    pace = reached / 2
    ours.begin(lab)
    quiet = Player(ours.server)
    quiet.begin(lab)
    for seed in range(1, lab.repeats + 1):
        ours.score(zipf(size.models, size.calls // 2, seed), rate=pace)
        quiet.play(list(range(size.kept)))
        quiet.score(zipf(size.kept, size.calls // 2, seed), rate=pace)
    yield compared(lab, size, f"{pace:,.0f} calls a second", ours, quiet)
    cost = [1000 * outcome.cpu_seconds / len(order) for order, outcome in ours.scored]
    yield lab.alone(FIGURE, "the caller's own CPU time for 1,000 calls", "s", cost)


def compared(lab: Lab, size: Size, pace: str, ours: Player, quiet: Player) -> Row:
    """P99 of the hot ones with loads over that without."""
    hot = range(size.hot)
    busy, calm = ours.latency(hot), quiet.latency(hot)
    pairs = zip(ours.p99s(hot), quiet.p99s(hot), strict=True)
    ratio = Spread.of([with_loads / without for with_loads, without in pairs])
    what = f"P99 of the {size.hot} most popular models at {pace}, with loads of others over without"
    other = Side("no cold loads", calm.value, calm.cpu_per_1000, calm.p50, calm.p99)
    row = Row(FIGURE, what, "ms", busy, other, ratio, Target(1.5, at_least=False))
    lab.report(row)
    return row
