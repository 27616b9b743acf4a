"""Figure 6: from process start to the first prediction, the gateway's memory, and whether memory grows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from benchmarks.lab import Lab
from benchmarks.peers import Setup, Wire
from benchmarks.running import Server
from benchmarks.summary import Row, Side, Spread, Target

STEPS = 4
STEP_REQUESTS = 75_000
SETTLE_REQUESTS = 100_000


def measure(lab: Lab) -> Iterator[Row]:
    """Three rows about Shoal alone."""
    starts = []
    for _ in range(max(3, lab.repeats)):
        with lab.shoal(Setup("iris"), core=None) as shoal:
            starts.append(shoal.start_seconds)
    yield row(lab, "iris: start to first prediction", "s", Spread.of(starts), 2.0)
    with lab.shoal(Setup("iris")) as shoal:
        gateway, growth = memory(lab, shoal)
    yield row(lab, "gateway's RSS under load", "MiB", Spread.of(gateway), 80.0)
    yield row(lab, "slope of all processes' memory", "MiB/100,000", growth, 1.0)


def row(lab: Lab, what: str, unit: str, value: Spread, bound: float) -> Row:
    """A row about Shoal alone, whose value must not exceed the bound."""
    result = Row(6, what, unit, Side(lab.subject.name, value), target=Target(bound, at_least=False))
    lab.report(result)
    return result


def memory(lab: Lab, shoal: Server) -> tuple[list[float], Spread]:
    """RSS of the gateway at each step, and the growth of heaps and stacks per 100,000 requests between the steps."""
    share = 1.0 if lab.thorough else 0.25
    total = push(lab, shoal, share * SETTLE_REQUESTS)
    answered, sizes, gateway = [total], [shoal.memory().anonymous], [shoal.gateway_rss_mib()]
    for _ in range(STEPS):
        total += push(lab, shoal, share * STEP_REQUESTS)
        answered.append(total)
        sizes.append(shoal.memory().anonymous)
        gateway.append(shoal.gateway_rss_mib())
    growth = [1e5 * (sizes[i + 1] - sizes[i]) / (answered[i + 1] - answered[i]) for i in range(STEPS)]
    return gateway, Spread(slope(answered, sizes), min(growth), max(growth))


def push(lab: Lab, shoal: Server, requests: float) -> int:
    """Sends at least so many requests, and says how many it were."""
    request, load, sent = shoal.request(Wire.JSON), dataclasses.replace(lab.load(64), seconds=lab.seconds), 0
    while sent < requests:
        sent += shoal.measure(request, load).requests
    return sent


def slope(answered: list[int], sizes: list[float]) -> float:
    """Least-squares growth in MiB per 100,000 requests."""
    mean_x, mean_y = sum(answered) / len(answered), sum(sizes) / len(sizes)
    products = sum((x - mean_x) * (y - mean_y) for x, y in zip(answered, sizes, strict=True))
    return 1e5 * products / sum((x - mean_x) ** 2 for x in answered)
