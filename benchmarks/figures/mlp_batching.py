"""Figure 3: what batching gives on an ONNX network, against those who batch too and against the bare model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from benchmarks import in_process
from benchmarks.lab import Contest, Lab
from benchmarks.peers import REFERENCE, Setup, Wire
from benchmarks.running import Server
from benchmarks.summary import Rounds, Row, Sample, Target, compare

ON, OFF = Setup("mlp", batch=32, wait_ms=2), Setup("mlp", batch=1)
BOUNDS = {"pytriton": 3.0, "mosec": 1.2}
TITLE = "MLP, V2 JSON, 64 connections"
BARE = "MLP, gRPC raw, 4 x 16 streams, against the model in process"


RAW = Contest(3, "MLP, gRPC raw, 4 x 16 streams", Wire.GRPC_RAW, connections=4, streams=16)


def contest(bound: float | None, what: str = TITLE) -> Contest:
    """JSON at 64 connections."""
    return Contest(3, what, Wire.JSON, connections=64, target=None if bound is None else Target(bound))


def measure(lab: Lab) -> Iterator[Row]:
    """Batching on against off, against peers, against no server at all."""
    with lab.shoal(ON) as shoal:
        yield from lab.against(shoal, lab.subject, OFF, [contest(5.0, f"{TITLE}, batching on against off")])
        yield from lab.against(shoal, REFERENCE, OFF, [contest(None), RAW])
        for peer in lab.peers(*BOUNDS):
            yield from lab.against(shoal, peer, ON, [contest(BOUNDS[peer.name])])
        yield against_bare_model(lab, shoal)


def against_bare_model(lab: Lab, shoal: Server) -> Row:
    """gRPC with raw tensors as a share of in-process batches of 32 on the same core."""
    request, load = shoal.request(Wire.GRPC_RAW), lab.load(4, 16)
    shoal.measure(request, dataclasses.replace(load, seconds=lab.warm_seconds))
    ours, alone = lab.rounds(shoal), Rounds("in process, batches of 32")
    for _ in range(lab.repeats):
        ours.samples.append(shoal.measure(request, load))
        bare = in_process.measure("mlp", 32, lab.seconds)
        alone.samples.append(Sample(bare.rate, bare.call_ms, bare.call_ms, bare.call_ms, 1))
    row = compare(3, BARE, ours, alone, Target(0.6))
    lab.report(row)
    return row
