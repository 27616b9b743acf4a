"""Figure 11: requests that fail while versions are rolled, stages are moved and workers come and go. None should.

Each answer is compared with the only right one of the version that it names, so that a mixed-up one counts as failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import calls, models, shelf
from benchmarks.calls import Outcome, Plan
from benchmarks.driver import DriverError
from benchmarks.lab import Lab
from benchmarks.paths import MODELS, PYTHON
from benchmarks.peers import Setup
from benchmarks.peers.registered import RegisteredModels
from benchmarks.running import Server, running
from benchmarks.summary import Row, Side, Spread, Target
from benchmarks.versions import NAME, Versions
from shoal.client.control import ControlClient

FIGURE = 11
FEW, MANY = 2, 20
"""Workers."""


@dataclass(frozen=True)
class Change:
    """Something that is done over and over under load.

    Attributes:
        what: in words.
        prepare: brings about where it begins.
        step: does it once, and returns when the node has done it; told how often it was done before.
    """

    what: str
    prepare: Callable[[], None]
    step: Callable[[int], None]


def measure(lab: Lab) -> Iterator[Row]:
    """A row for each kind of change."""
    trained = models.train("train_linear.py", PYTHON, MODELS / "linear.joblib").read_bytes()
    with shelf.home("rolling") as folder:
        with shelf.opened(folder) as open_shelf:
            open_shelf.fill(range(1), shelf.numbered(trained))
        with running(RegisteredModels(folder), Setup(shelf.name_of(0))) as server, control_of(server) as control:
            versions = Versions(control)
            versions.push(1)
            versions.push(2)
            for change in changes(versions):
                yield under_load(lab, server, change)


def control_of(server: Server) -> ControlClient:
    """A client of the node's own control."""
    return ControlClient(f"http://127.0.0.1:{server.site.metrics}")


def changes(versions: Versions) -> Iterator[Change]:
    """All of them; each begins with version 1 and two workers."""

    def start(ref: str) -> Callable[[], None]:
        def prepare() -> None:
            versions.stage(1)
            versions.deploy(ref, FEW)
            versions.wait(version=1, workers=FEW)

        return prepare

    def roll(done: int) -> None:
        versions.deploy(str(other(done)), FEW)
        versions.wait(version=other(done), workers=FEW)

    def move(done: int) -> None:
        versions.stage(other(done))
        versions.wait(version=other(done), workers=FEW)

    def scale(done: int) -> None:
        for workers in (MANY, FEW):
            versions.scale(workers)
            versions.wait(version=1, workers=workers)

    yield Change("rolling changes of version", start("1"), roll)
    yield Change("moves of the stage that is served", start("production"), move)
    yield Change(f"times of scaling {FEW} -> {MANY} -> {FEW} workers", start("1"), scale)


def other(done: int) -> int:
    """The version that comes after so many changes: 2, 1, 2, ..."""
    return 2 if done % 2 == 0 else 1


def under_load(lab: Lab, server: Server, change: Change) -> Row:
    """Make the change again and again until all requests have been sent."""
    requests, pace = (50_000, 1000) if lab.thorough else (2500, 250)
    change.prepare()
    plan = Plan(port=server.site.http, models=list(range(requests)), text=NAME, rate=float(pace))
    before = server.cpu_seconds()
    with ThreadPoolExecutor(1, thread_name_prefix="load") as threads:
        load = threads.submit(calls.attempt, plan)
        done = repeat(change, load)
        outcome = load.result()
    if not done:
        raise DriverError(f"all requests were sent before one of the {change.what} was done")
    cpu = 1000 * (server.cpu_seconds() - before) / requests
    for failure in outcome.failures[:5]:
        lab.say(f"  failed: {failure}")
    lab.say(f"  answers by version: {outcome.versions}")
    what = f"failed of {requests:,} requests at {pace:,} a second, 64 connections, during {done} {change.what}"
    return failed(lab, what, outcome, cpu)


def repeat(change: Change, load: Future[Outcome]) -> int:
    """How often the change was done under load: the last one is brought to its end, but does not count."""
    done = 0
    change.step(done)
    while not load.done():
        done += 1
        change.step(done)
    return done


def failed(lab: Lab, what: str, outcome: Outcome, cpu: float) -> Row:
    """How many, with the latencies of all."""
    every = calls.part(outcome.times)
    value = Spread.of([float(outcome.failed)])
    ours = Side(lab.subject.name, value, cpu, every.p50, every.p99)
    row = Row(FIGURE, what, "requests", ours, target=Target(0.0, at_least=False))
    lab.report(row)
    return row
