"""Figure 1: iris, V2 JSON, 64 connections, against the reference plane and every peer at its best.

Peers with dynamic batching run with it where it makes them faster.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.lab import Contest, Lab
from benchmarks.peers import REFERENCE, Setup, Wire
from benchmarks.summary import Row, Target

TITLE = "iris, V2 JSON, 64 connections"
BATCHED = Setup("iris", batch=32, wait_ms=2)
BATCHED_SLOWLY = Setup("iris", batch=32, wait_ms=20)  # LitServe gains nothing from a short window
SETUPS = {"mosec": BATCHED, "pytriton": BATCHED, "bentoml": BATCHED, "ray": BATCHED, "litserve": BATCHED_SLOWLY}
UNBATCHED_TOO = ("mosec", "pytriton")  # batching changes them most
BOUNDS = {"fastapi": None, "mosec": 1.2}
ORDER = ("fastapi", "mosec", "mlserver", "pytriton", "litserve", "kserve", "bentoml", "mlflow", "ray")


def contest(bound: float | None) -> Contest:
    """The comparison, with the ratio that has to be reached."""
    return Contest(1, TITLE, Wire.JSON, connections=64, target=None if bound is None else Target(bound))


def measure(lab: Lab) -> Iterator[Row]:
    """A row for each rival."""
    with lab.shoal(Setup("iris")) as shoal:
        yield from lab.against(shoal, REFERENCE, Setup("iris"), [contest(0.7)])
        for peer in lab.peers(*ORDER):
            setup = SETUPS.get(peer.name, Setup("iris"))
            yield from lab.against(shoal, peer, setup, [contest(BOUNDS.get(peer.name, 15.0))])
            if peer.name in UNBATCHED_TOO:
                yield from lab.against(shoal, peer, Setup("iris"), [contest(None)])
