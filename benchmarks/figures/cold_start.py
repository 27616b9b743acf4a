"""Figure 9: the first prediction of a model that is not in memory, and of one whose files were here before."""

from __future__ import annotations

import json
import statistics
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import calls, shelf, unserved
from benchmarks.lab import Lab
from benchmarks.paths import MODELS, PYTHON, SERVERS
from benchmarks.peers import Setup
from benchmarks.peers.registered import RegisteredModels
from benchmarks.running import Server, running
from benchmarks.shelf import name_of
from benchmarks.summary import Row, Side, Spread, Target

FIGURE = 9
FORESTS = MODELS / "forests"
POOL = {"shared": {"workers": 1, "preload": ["sklearn"]}}
WARM = 20
"""Models that are served before."""
FIRST, SECOND = Target(25.0, at_least=False), Target(8.0, at_least=False)


@dataclass(frozen=True)
class Round:
    """Milliseconds of each call, and the server's CPU seconds for a thousand of them."""

    times: list[float]
    cpu_per_1000: float


@dataclass
class Times:
    """What was measured, round by round; `loading` and `alone` in milliseconds."""

    first: list[Round] = field(default_factory=list)
    second: list[Round] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


def measure(lab: Lab) -> Iterator[Row]:
    """On one core, and with the machine's cores free to use."""
    count = 50 if lab.thorough else 10
    total = WARM + count * lab.repeats
    subprocess.run([PYTHON, SERVERS / "train_forests.py", FORESTS, str(total)], check=True)
    for core, place in ((0, "on one core"), (None, "on all cores")) if lab.thorough else ((0, "on one core"),):
        with shelf.home("cold") as folder:
            with shelf.opened(folder) as open_shelf:
                open_shelf.fill(range(total), lambda number: forest(number).read_bytes())
            with running(RegisteredModels(folder, POOL), Setup(name_of(0)), core=core) as server:
                yield from rows(lab, take(server, count, lab.repeats, core), f"{count} forests of 50 KB each, {place}")


def forest(number: int) -> Path:
    """The file of a model."""
    return FORESTS / f"{number}.joblib"


def take(server: Server, count: int, repeats: int, core: int | None) -> Times:
    """Rounds of models that were never called, called twice each, one call after the other."""
    once(server, range(1, WARM))
    times = Times()
    for round_number in range(repeats):
        numbers = range(WARM + round_number * count, WARM + (round_number + 1) * count)
        times.first.append(once(server, numbers))
        for number in numbers:
            ask(server, f"/v2/repository/models/{name_of(number)}/unload", b"{}")
        times.second.append(once(server, numbers))
        times.loading += [loading(server, number) for number in numbers]
        times.alone.append(statistics.median(unserved.measure([forest(0), *map(forest, numbers)], core)))
    return times


def once(server: Server, numbers: range) -> Round:
    """Each of these models called once."""
    before = server.cpu_seconds()
    times = calls.call(calls.Plan(port=server.site.http, connections=1, models=list(numbers))).times
    return Round(times, 1000 * (server.cpu_seconds() - before) / len(times))


def loading(server: Server, number: int) -> float:
    """Milliseconds that the worker took to load and try a model the last time, as the node tells."""
    facts = json.loads(ask(server, f"/v2/models/{name_of(number)}/why"))
    return 1000 * float(facts["load_seconds"])


def ask(server: Server, path: str, body: bytes | None = None) -> bytes:
    """A good answer of the node."""
    url, headers = f"http://127.0.0.1:{server.site.http}{path}", {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=20.0) as response:
        content: bytes = response.read()
    return content


def rows(lab: Lab, times: Times, which: str) -> Iterator[Row]:
    """Both calls, with what the model alone takes, and how much of the second one the worker needs to load."""
    alone = Side("load and predict without a server", Spread.of(times.alone))
    yield row(lab, f"cold first prediction of {which}: median", times.first, alone, FIRST)
    yield row(lab, f"second load of {which}, files in the disk cache: median", times.second, alone, SECOND)
    yield lab.alone(FIGURE, f"of it in the worker, loading: {which}", "ms", times.loading)


def row(lab: Lab, what: str, rounds: Sequence[Round], alone: Side, target: Target) -> Row:
    """Medians of the rounds; P50 and P99 of all calls."""
    every = calls.part([each for one in rounds for each in one.times])
    medians = Spread.of([statistics.median(each.times) for each in rounds])
    cpu = statistics.median(each.cpu_per_1000 for each in rounds)
    ours = Side(lab.subject.name, medians, cpu, every.p50, every.p99)
    result = Row(FIGURE, what, "ms", ours, alone, target=target)
    lab.report(result)
    return result
