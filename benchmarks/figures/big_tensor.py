"""Figure 5: a tensor of 1x3x224x224 (602 KB; 3 MB as JSON) on 4 connections, and what a small neighbour feels of it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator

from benchmarks.driver import Load, Request, drive
from benchmarks.lab import FAILURES, Contest, Lab
from benchmarks.peers import PEERS, Setup, Wire
from benchmarks.running import Server, running
from benchmarks.summary import Rounds, Row, Sample, Side, Spread, Target

BIG = Setup("big")
WIRES = (Wire.BINARY, Wire.GRPC_RAW)
PACE = 10
DELAY = Target(2.0, at_least=False)


def contest(wire: Wire, rival: Wire, bound: float) -> Contest:
    """Ours on one wire, theirs on another."""
    return Contest(5, f"602 KB tensor, {wire} (theirs: {rival}), 4 connections", wire, 4, 1, Target(bound), rival)


def measure(lab: Lab) -> Iterator[Row]:
    """Throughput against peers, then the delays of a neighbour."""
    with lab.shoal(BIG) as shoal:
        for peer in lab.peers("fastapi"):
            yield from lab.against(shoal, peer, BIG, [contest(wire, Wire.BINARY, 0.8) for wire in WIRES])
        for peer in lab.peers("kserve"):
            yield from lab.against(shoal, peer, BIG, [contest(wire, Wire.GRPC_RAW, 3.0) for wire in WIRES])
        for peer in lab.peers("mlserver", "bentoml"):
            yield from lab.against(shoal, peer, BIG, [contest(Wire.JSON, Wire.JSON, 3.0)])
    yield from delays(lab)


def delays(lab: Lab) -> Iterator[Row]:
    """P99 of a small request of another model with the big one loaded, less that without; cores are free to use.

    Paced, the load leaves the machine room, and what remains is what the server itself makes the small one wait. As
    fast as answers come, the load takes CPU time from everybody, also when it goes to another server: that part is
    measured with FastAPI as the target of the same binary load, and given in a row of its own.
    """
    with lab.shoal(BIG, core=None) as shoal:
        small = shoal.request(Wire.JSON, model="iris")
        for wire in (Wire.BINARY, Wire.GRPC_RAW, Wire.JSON):
            what = f"delay of a small request at P99 while 4 connections send 602 KB tensors, {wire}"
            big = shoal.request(wire)
            yield delay(lab, shoal, small, big, what, DELAY)
            if lab.thorough:
                yield delay(lab, shoal, small, big, f"{what}, {4 * PACE} a second", None, PACE)
        if not lab.thorough:
            return
        try:
            with running(PEERS["fastapi"], BIG, core=None) as other:
                what = "the same while the load goes to FastAPI instead (the machine's own share)"
                yield delay(lab, shoal, small, other.request(Wire.BINARY), what, None)
        except FAILURES as error:
            lab.say(f"  no control: {error}")


def delay(
    lab: Lab, shoal: Server, small: Request, big: Request, what: str, target: Target | None, pace: int | None = None
) -> Row:
    """Alternates quiet and loaded runs of the small request."""
    quiet, loaded = Rounds("without load"), Rounds("with load")
    light = Load(1, lab.seconds, core=1)
    heavy = Load(4, lab.seconds + 1, pace=pace, core=1, nice=10)  # niced: the generator itself is not to be in the way
    for _ in range(lab.repeats):
        quiet.samples.append(drive(small, light))
        loaded.samples.append(beside(big, heavy, lambda: drive(small, light)))
    added = [busy.p99 - calm.p99 for busy, calm in zip(loaded.samples, quiet.samples, strict=True)]
    ours = Side(shoal.peer.name, Spread.of(added), None, loaded.side(_p99).p50, loaded.side(_p99).p99)
    row = Row(5, what, "ms", ours, Side("without load", quiet.side(_p99).value), target=target)
    lab.report(row)
    return row


def beside(big: Request, heavy: Load, small: Callable[[], Sample]) -> Sample:
    """The small run while the big one goes on."""
    failures: list[BaseException] = []

    def push() -> None:
        try:
            drive(big, heavy)
        except (*FAILURES, subprocess.SubprocessError) as error:
            failures.append(error)

    thread = threading.Thread(target=push, name="big-load")
    thread.start()
    threading.Event().wait(0.5)
    try:
        return small()
    finally:
        thread.join()
        if failures:
            raise failures[0]


def _p99(sample: Sample) -> float:
    return sample.p99
