"""Figure 13: what it costs to split a node over processes, and what becomes of its batches."""

from __future__ import annotations

import dataclasses
import re
import urllib.request
from collections.abc import Callable, Iterator

from benchmarks.driver import Load
from benchmarks.lab import Lab
from benchmarks.peers import Setup, Shoal, Wire
from benchmarks.running import Server, running
from benchmarks.summary import Rounds, Row, Sample, Spread, Target, compare

SPLIT = Shoal("shoal, 1 gateway, 1 proxy", "--gateways", "1", "--proxies", "1")
WIDE = Shoal("shoal, 3 gateways, 1 proxy", "--gateways", "3", "--proxies", "1")
LOADED = 32
"""Connections of the run under load; more of them would measure the machine."""
WIRES = (Wire.JSON, Wire.GRPC_RAW)
BATCHES = re.compile(r"^shoal_batch_rows_(sum|count)\{[^}]*\} (\S+)$", re.MULTILINE)


def measure(lab: Lab) -> Iterator[Row]:
    """The same node whole and split, in turns; then with one gateway and with three."""
    with lab.shoal(Setup("iris"), None) as whole, running(SPLIT, Setup("iris"), core=None) as split:
        for wire in WIRES:
            yield from latencies(lab, whole, split, wire)
    mlp = Setup("mlp", batch=32, wait_ms=2)
    with running(SPLIT, mlp, core=None) as one, running(WIDE, mlp, core=None) as three:
        yield batches(lab, one, three)


def latencies(lab: Lab, whole: Server, split: Server, wire: Wire) -> Iterator[Row]:
    """What the hop adds, for a lone caller and under load."""
    for connections, who in ((1, "one caller"), (LOADED, f"{LOADED} connections")):
        pairs = in_turns(lab, (split, whole), wire, lab.load(connections))
        target = Target(150.0, at_least=False) if connections == 1 else None
        yield added(lab, f"iris, {wire}, {who}: median added by the split", pairs, lambda sample: sample.p50, target)
        yield added(lab, f"iris, {wire}, {who}: P99 added by the split", pairs, lambda sample: sample.p99, None)


def added(
    lab: Lab, what: str, pairs: tuple[Rounds, Rounds], value: Callable[[Sample], float], target: Target | None
) -> Row:
    """The difference of two servers' latencies, round by round, in microseconds."""
    ours, theirs = pairs
    more = [1000 * (value(one) - value(other)) for one, other in zip(ours.samples, theirs.samples, strict=True)]
    side = dataclasses.replace(ours.side(value), value=Spread.of(more))
    row = Row(13, what, "us", side, dataclasses.replace(theirs.side(value), value=Spread(0.0, 0.0, 0.0)), target=target)
    lab.report(row)
    return row


def batches(lab: Lab, one: Server, three: Server) -> Row:
    """Rows per batch: requests that come in through three gateways still meet in one proxy."""
    load = lab.load(64)
    rounds = []
    for server in (three, one):
        server.measure(server.request(Wire.JSON), dataclasses.replace(load, seconds=lab.warm_seconds))
        rounds.append(lab.rounds(server))
    for _ in range(lab.repeats):
        for server, each in zip((three, one), rounds, strict=True):
            before = rows_and_batches(server)
            sample = server.measure(server.request(Wire.JSON), load)
            rows, count = (after - then for after, then in zip(rows_and_batches(server), before, strict=True))
            each.samples.append(dataclasses.replace(sample, rate=rows / count))
    what = "MLP, V2 JSON, 64 connections: rows per batch, three gateways against one"
    row = dataclasses.replace(compare(13, what, *rounds, Target(0.9)), unit="rows")
    lab.report(row)
    return row


def in_turns(lab: Lab, servers: tuple[Server, Server], wire: Wire, load: Load) -> tuple[Rounds, Rounds]:
    """Samples of two servers, in turns."""
    requests = [server.request(wire) for server in servers]
    for server, request in zip(servers, requests, strict=True):
        server.measure(request, dataclasses.replace(load, seconds=lab.warm_seconds))
    first, second = (lab.rounds(server) for server in servers)
    for _ in range(lab.repeats):
        for server, request, rounds in zip(servers, requests, (first, second), strict=True):
            rounds.samples.append(server.measure(request, load))
    return first, second


def rows_and_batches(server: Server) -> tuple[float, float]:
    """How many rows have been run so far, in how many batches."""
    url = server.request(Wire.JSON).url
    with urllib.request.urlopen(f"{url[: url.index('/v2/')]}/metrics", timeout=10.0) as answer:
        return totals(answer.read().decode())


def totals(text: str) -> tuple[float, float]:
    """Rows and batches of all models and processes that the metrics tell of."""
    found = {"sum": 0.0, "count": 0.0}
    for kind, value in BATCHES.findall(text):
        found[kind] += float(value)
    return found["sum"], found["count"]
