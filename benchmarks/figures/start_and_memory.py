"""Figure 6: from process start to the first prediction, the gateway's memory, and whether memory grows."""

from __future__ import annotations

import dataclasses

from benchmarks.lab import Lab
from benchmarks.peers import Setup, Wire
from benchmarks.running import Server
from benchmarks.summary import Row, Side, Spread, Target

STEPS = 4
STEP_REQUESTS = 60_000
SETTLE_REQUESTS = 60_000


def measure(lab: Lab) -> list[Row]:
    """Three rows about Shoal alone."""
    starts = []
    for _ in range(max(3, lab.repeats)):
        with lab.shoal(Setup("iris"), core=None) as shoal:
            starts.append(shoal.start_seconds)
    with lab.shoal(Setup("iris")) as shoal:
        gateway, slope = memory(lab, shoal)
    name = lab.subject.name
    rows = [
        Row(6, "iris: start to first prediction", "s", Side(name, Spread.of(starts)), target=Target(2.0, False)),
        Row(6, "gateway's RSS under load", "MiB", Side(name, Spread.of(gateway)), target=Target(80.0, False)),
        Row(6, "memory slope of all processes", "MiB/100,000", Side(name, slope), target=Target(1.0, False)),
    ]
    for row in rows:
        lab.report(row)
    return rows


def memory(lab: Lab, shoal: Server) -> tuple[list[float], Spread]:
    """RSS of the gateway at each step, and the growth of PSS per 100,000 requests between the steps."""
    answered, sizes, gateway = [0], [], []
    total = push(lab, shoal, SETTLE_REQUESTS)
    answered, sizes, gateway = [total], [shoal.pss_mib()], [shoal.gateway_rss_mib()]
    for _ in range(STEPS):
        total += push(lab, shoal, STEP_REQUESTS)
        answered.append(total)
        sizes.append(shoal.pss_mib())
        gateway.append(shoal.gateway_rss_mib())
    growth = [1e5 * (sizes[i + 1] - sizes[i]) / (answered[i + 1] - answered[i]) for i in range(STEPS)]
    return gateway, Spread(slope(answered, sizes), min(growth), max(growth))


def push(lab: Lab, shoal: Server, requests: int) -> int:
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
