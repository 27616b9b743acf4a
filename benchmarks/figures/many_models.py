"""Figure 10: 10,000 models, of which 500 fit into memory, called as people call them: few often, most hardly ever.

Popularity is Zipf's with exponent 1.1, drawn from a seed. MLServer keeps in memory what it was told to load, so its
caller does what it asks of a caller: it keeps the same number loaded, and before it calls another one it has the one
unloaded that it has not used for longest, and the new one loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import models, shelf
from benchmarks.environments import make, models_of, python_of
from benchmarks.figures import hot_models
from benchmarks.lab import FAILURES, Lab
from benchmarks.paths import MODELS, PYTHON, WORK
from benchmarks.peers import Setup
from benchmarks.peers.registered import RegisteredModels
from benchmarks.peers.repository import REST, Repository, fill, name_with
from benchmarks.popularity import QUICK, Player, Size, zipf
from benchmarks.running import running
from benchmarks.shelf import name_of
from benchmarks.summary import Row, Target, compare

FIGURE = 10
FEW = 60
"""Calls of the round against MLServer's own repository."""


def measure(lab: Lab) -> Iterator[Row]:
    """Against MLServer, then the hot ones by themselves."""
    size = Size() if lab.thorough else QUICK
    trained = models.train("train_linear.py", PYTHON, MODELS / "linear.joblib")
    with shelf.home("many") as folder:
        with shelf.opened(folder) as open_shelf:
            open_shelf.fill(range(size.models), shelf.numbered(trained.read_bytes()))
        pools = {"shared": {"workers": 1, "max_models": size.kept, "idle_seconds": None, "preload": ["sklearn"]}}
        with running(RegisteredModels(folder, pools), Setup(name_of(0))) as server:
            ours = Player(server)
            for number in range(0, size.models, size.calls):  # all files are in the disk cache from here on
                ours.play(list(range(number, min(size.models, number + size.calls))))
            yield from against(lab, size, ours)
            yield from hot_models.rows(lab, size, ours)


def against(lab: Lab, size: Size, ours: Player) -> Iterator[Row]:
    """MLServer with a repository of our making that spares it what costs it most, then with its own."""
    if not lab.peers("mlserver"):
        return
    what = f"{size.models:,} models by popularity, {size.kept} in memory, 64 connections"
    for direct, target in ((True, None), (False, Target(10.0))):
        name = name_with(direct)
        lab.say(f"figure {FIGURE}: {name}")
        try:
            with mlserver(size, direct) as theirs:
                yield from duels(lab, size, what, ours, theirs) if direct else own(lab, size, what, ours, theirs)
        except FAILURES as error:
            reason = " ".join(str(error).split())[:240]
            yield Row(FIGURE, what, "requests/s", target=target, failure=reason, against=name)


@contextmanager
def mlserver(size: Size, direct: bool) -> Iterator[Player]:
    """MLServer with the most popular models loaded, the rest in reach."""
    peer = Repository(direct, WORK / f"repository-{size.kept}")
    make(peer)
    trained = models.train("train_linear.py", python_of(peer), models_of(peer) / "linear.joblib")
    rest = fill(peer.root, range(size.kept), range(size.models), shelf.numbered(trained.read_bytes()))
    with running(peer, Setup(name_of(0))) as server, moved(rest, peer.root / REST):
        yield Player(server, keep=size.kept, held=list(reversed(range(size.kept))))


@contextmanager
def moved(folder: Path, inside: Path) -> Iterator[None]:
    """A folder in another place for a while."""
    folder.rename(inside)
    try:
        yield
    finally:
        inside.rename(folder)


def duels(lab: Lab, size: Size, what: str, ours: Player, theirs: Player) -> Iterator[Row]:
    """In turns, all models by their popularity; then only those that fit, so that nothing is ever loaded."""
    yield duel(lab, size, what, ours, theirs, size.models)
    for title, which in (("most", range(size.hot)), ("least", range(size.kept, size.models))):
        yield latencies(lab, f"{what}: P99 of the {len(which):,} {title} popular", ours, theirs, which)
    if lab.thorough:
        yield duel(lab, size, f"only the {size.kept} that are in memory, 64 connections", ours, theirs, size.kept)


def duel(lab: Lab, size: Size, what: str, ours: Player, theirs: Player, count: int) -> Row:
    """Warm both up, then alternate."""
    players = (ours, theirs)
    for player in players:
        player.begin(lab)
        player.play(zipf(count, size.calls, 0))
    for seed in range(1, lab.repeats + 1):
        for player in players:
            player.score(zipf(count, size.calls, seed))
    row = compare(FIGURE, what, ours.rounds, theirs.rounds)
    lab.report(row)
    return row


def latencies(lab: Lab, what: str, ours: Player, theirs: Player, which: range) -> Row:
    """Of the calls of some models in the rounds that were just scored."""
    row = Row(FIGURE, what, "ms", ours.latency(which), theirs.latency(which))
    lab.report(row)
    return row


def own(lab: Lab, size: Size, what: str, ours: Player, theirs: Player) -> Iterator[Row]:
    """One round of few calls against MLServer's own repository, where a load takes seconds."""
    ours.begin(lab)
    theirs.begin(lab)
    ours.score(zipf(size.models, size.calls, 1))
    theirs.score(zipf(size.models, FEW, 1))
    row = compare(FIGURE, what, ours.rounds, theirs.rounds, Target(10.0))
    lab.report(row)
    yield row
