"""Runs comparisons: Shoal, rival, Shoal, rival, ... so that what the machine does meanwhile hits both alike."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.driver import DriverError, Load
from benchmarks.environments import CannotInstall
from benchmarks.peers import OURS, PEERS, Peer, Setup, Wire
from benchmarks.running import CannotStart, Server, running
from benchmarks.summary import Rounds, Row, Side, Spread, Target, compare

FAILURES = (CannotInstall, CannotStart, DriverError, subprocess.SubprocessError, OSError)


@dataclass(frozen=True)
class Contest:
    """One comparison: what both are asked, how hard, and what has to come out."""

    figure: int
    what: str
    wire: Wire
    connections: int
    streams: int = 1
    target: Target | None = None
    rival_wire: Wire | None = None


@dataclass
class Lab:
    """How thoroughly to measure, and whom.

    Attributes:
        repeats: rounds of each comparison.
        seconds: length of a timed run.
        warm_seconds: load before the first timed run, so that both are in their steady state.
        chosen: names of the peers to compare with.
        thorough: also measure what has no target but explains, and memory over more requests.
        subject: who is measured: Shoal, or the reference plane in its place to try the harness.
    """

    repeats: int = 3
    seconds: int = 2
    warm_seconds: int = 1
    chosen: Sequence[str] = tuple(PEERS)
    thorough: bool = True
    subject: Peer = field(default_factory=lambda: OURS)

    def say(self, text: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    def peers(self, *names: str) -> list[Peer]:
        """Those of the names that were chosen."""
        return [PEERS[name] for name in names if name in self.chosen]

    @contextlib.contextmanager
    def shoal(self, setup: Setup, core: int | None = 0) -> Iterator[Server]:
        """Shoal (or what stands in for it), running."""
        with running(self.subject, setup, core=core) as server:
            yield server

    def load(self, connections: int, streams: int = 1) -> Load:
        return Load(connections, self.seconds, streams)

    def against(self, ours: Server, peer: Peer, setup: Setup, contests: Sequence[Contest]) -> list[Row]:
        """All contests with one rival; one that fails gives rows that say why. In a hurry, only those with a target."""
        contests = [each for each in contests if self.thorough or each.target]
        if not contests:
            return []
        self.say(f"figure {contests[0].figure}: {peer.name} {setup.model}, batches of {setup.batch}")
        try:
            with running(peer, setup) as theirs:
                return [self._attempt(each, ours, theirs) for each in contests]
        except FAILURES as error:
            return [self.failed(contest, peer.name, error) for contest in contests]

    def _attempt(self, contest: Contest, ours: Server, theirs: Server) -> Row:
        try:
            return self.duel(ours, theirs, contest)
        except FAILURES as error:
            return self.failed(contest, theirs.peer.name, error)

    def failed(self, contest: Contest, name: str, error: BaseException) -> Row:
        """The row of a comparison that could not be made."""
        self.say(f"  failed: {error}")
        reason = " ".join(str(error).split())[:240]
        return Row(contest.figure, contest.what, "requests/s", target=contest.target, failure=reason, against=name)

    def duel(self, ours: Server, theirs: Server, contest: Contest) -> Row:
        """Warm both up, then alternate."""
        load = self.load(contest.connections, contest.streams)
        pairs = []
        for server, wire in ((ours, contest.wire), (theirs, contest.rival_wire or contest.wire)):
            request = server.request(wire)
            server.measure(request, dataclasses.replace(load, seconds=self.warm_seconds))
            pairs.append((server, request, self.rounds(server)))
        for _ in range(self.repeats):
            for server, request, rounds in pairs:
                rounds.samples.append(server.measure(request, load))
        row = compare(contest.figure, contest.what, pairs[0][2], pairs[1][2], contest.target)
        self.report(row)
        return row

    def rounds(self, server: Server) -> Rounds:
        """An empty record of the server, with what its start took and its memory after the warm-up."""
        name = server.peer.name + (f", batches of {server.setup.batch}" if server.setup.batch > 1 else "")
        return Rounds(name, [], server.memory().pss, server.start_seconds)

    def alone(self, figure: int, what: str, unit: str, values: Sequence[float], target: Target | None = None) -> Row:
        """A row about the subject alone; a target is for its median."""
        row = Row(figure, what, unit, Side(self.subject.name, Spread.of(values)), target=target)
        self.report(row)
        return row

    def report(self, row: Row) -> None:
        """One line of progress."""
        value = f"{row.ours.value.median:.4g} {row.unit}" if row.ours else ""
        ratio = f", ratio {row.ratio.median:.3g}" if row.ratio else ""
        self.say(f"  {row.what}: {value}{ratio}{'' if row.target is None else f' (target {row.target})'}")
