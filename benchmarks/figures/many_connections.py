"""Figure 7: 1,000 connections opened at once, one request on each."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.burst import burst
from benchmarks.driver import DriverError
from benchmarks.lab import FAILURES, Lab
from benchmarks.peers import Setup, Wire
from benchmarks.running import Server, running
from benchmarks.summary import Row, Side, Spread, Target

CONNECTIONS = 1000
WHAT = f"iris: {CONNECTIONS:,} connections opened at once, last answer"


def measure(lab: Lab) -> Iterator[Row]:
    """One row about Shoal; FastAPI on the same event loop for comparison."""
    with lab.shoal(Setup("iris")) as shoal:
        ours = times(lab, shoal)
    own = Side(shoal.peer.name, Spread.of(ours))
    yield Row(7, WHAT, "s", own, target=Target(1.0, at_least=False))
    for peer in lab.peers("fastapi", "mlserver") if lab.thorough else ():
        try:
            with running(peer, Setup("iris")) as other:
                theirs = Spread.of(times(lab, other))
            ratios = Spread.of([theirs.median / mine for mine in ours])
            yield Row(7, f"{WHAT} (ratio: theirs over ours)", "s", own, Side(peer.name, theirs), ratios)
        except FAILURES as error:
            yield Row(7, WHAT, "s", failure=str(error)[:240], against=peer.name)


def times(lab: Lab, server: Server) -> list[float]:
    """Seconds until the last of all answers, for each round."""
    request, seconds = server.request(Wire.JSON), []
    for _ in range(lab.repeats):
        result = burst(request, CONNECTIONS)
        if result.answered < CONNECTIONS:
            raise DriverError(f"{result.answered} of {CONNECTIONS} connections answered well")
        seconds.append(result.seconds)
    return seconds
