"""Figure 2: iris over gRPC, 4 connections of 16 streams and 64 of one."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab import Contest, Lab
from benchmarks.peers import REFERENCE, Setup, Wire
from benchmarks.summary import Row, Target

SHAPES = ((4, 16), (64, 1))
BOUNDS = {"mlserver": 20.0, "kserve": 20.0, "pytriton": None}


def contests(bound: float | None) -> list[Contest]:
    """Both shapes."""
    target = None if bound is None else Target(bound)
    return [Contest(2, f"iris, gRPC, {c} x {s} streams", Wire.GRPC_RAW, c, s, target) for c, s in SHAPES]


def measure(lab: Lab) -> Iterator[Row]:
    """Two rows for each rival."""
    with lab.shoal(Setup("iris")) as shoal:
        yield from lab.against(shoal, REFERENCE, Setup("iris"), contests(0.7))
        for peer in lab.peers(*BOUNDS):
            setup = Setup("iris", 32, 2) if peer.name == "pytriton" else Setup("iris")
            yield from lab.against(shoal, peer, setup, contests(BOUNDS[peer.name]))
