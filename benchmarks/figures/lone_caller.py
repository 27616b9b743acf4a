"""Figure 4: what a lone caller waits beyond the model's own time, with the default policy and its 20 ms bound."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from benchmarks import in_process
from benchmarks.lab import Lab
from benchmarks.peers import Setup, Wire
from benchmarks.running import Server
from benchmarks.summary import Rounds, Row, Side, Spread, Target

TARGET = Target(0.3, at_least=False)


def measure(lab: Lab) -> Iterator[Row]:
    """On one core, and with the machine's cores free to use."""
    for core, place in ((0, "on one core"), (None, "on all cores")):
        with lab.shoal(Setup("iris"), core) as shoal:
            for wire in (Wire.JSON, Wire.GRPC_RAW):
                yield above_model(lab, shoal, wire, place, core)


def above_model(lab: Lab, shoal: Server, wire: Wire, place: str, core: int | None) -> Row:
    """Median latency less the median of the bare call, measured in turns."""
    request = shoal.request(wire)
    load = dataclasses.replace(lab.load(1), core=None if core is None else 1)
    shoal.measure(request, dataclasses.replace(load, seconds=lab.warm_seconds))
    rounds, bare = Rounds(shoal.peer.name, [], shoal.memory().pss, shoal.start_seconds), []
    for _ in range(lab.repeats):
        rounds.samples.append(shoal.measure(request, load))
        bare.append(in_process.measure("iris", 1, 1, core).call_ms)
    above = [sample.p50 - alone for sample, alone in zip(rounds.samples, bare, strict=True)]
    ours = dataclasses.replace(rounds.side(lambda sample: sample.p50), value=Spread.of(above))
    alone = Side("the model alone", Spread.of(bare))
    row = Row(4, f"iris, {wire}, one caller, {place}: median above the model's", "ms", ours, alone, target=TARGET)
    lab.report(row)
    return row
