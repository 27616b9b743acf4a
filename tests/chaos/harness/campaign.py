"""A campaign: a server, loads on it, harm done to it; and at the end what must hold whatever was done.

    no hang         every request has one outcome, in time                      `ledger`
    right answer    every answer is the oracle's for its own input              `ledger`
    no cross-talk   no canary in anybody else's answer or error, in no log, no metric
    liveness        the server's own processes are those that they were, and it says that it lives
    no leak         memory, files, threads, shared memory, temporary files, zombies are back where they were   `footprint`
    accounting      what the server counted is what the callers were told       `accounts`
    no bug          no outcome `internal`, no traceback of the server's own

Durability and permissions have tests of their own, where acknowledgements and states can be compared.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from chaos.harness import accounts, footprint, ledger
from chaos.harness.load import Load, Traffic
from chaos.harness.sizes import LONG, seed
from shoal.client import AsyncClient
from shoal.client.operations import Headers
from shoal.core.errors import ShoalError
from shoal.testing.node import RunningNode, serve

APART = 1 << 32
"""Between the numbers of two loads' requests."""


class Campaign:
    """See the module. Made by `campaign`.

    Attributes:
        node: the server.
        seed: replays it.
        random: chance, by that seed.
        figures: what is worth keeping; printed at the end.
        untold: requests that were sent past the loads, which may have been counted.
        accounted: whether the server's counters lived through it.
        spares: models of which a quarantine worker may have been started.
        steady: whether its processes must be the same at the end.
    """

    def __init__(self, name: str, node: RunningNode, temporary: Path) -> None:
        self.name = name
        self.node = node
        self.seed = seed()
        self.random = Random(self.seed)
        self.figures: dict[str, object] = {}
        self.untold = 0
        self.spares = 0
        self.accounted = True
        self.steady = True
        self._temporary = temporary
        self._books: list[ledger.Ledger] = []
        self._begun = time.monotonic()

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        return self.node.process.pid

    def warm(self, traffic: Traffic, requests: int = 300) -> None:
        """Let everything have its size; from here on nothing may grow."""
        with self.load(traffic, rate=600) as load:
            load.reached(requests)
        self.check_books()
        self.begin()

    def begin(self) -> None:
        """All accounts begin here."""
        self._books = [ledger.Ledger()]
        self._was = footprint.measure(self.pid, self._temporary)
        self._pids = footprint.own_processes(self.pid)
        self._counted = accounts.counted(accounts.scrape(self.node.url))

    def load(
        self,
        traffic: Traffic,
        *,
        rate: float,
        urls: Sequence[str] = (),
        timeout: float = 20.0,
        headers: Headers = (),
    ) -> Load:
        """An open loop of requests; a `with` block is its time."""
        made = Load(
            urls or [self.node.url],
            traffic,
            rate=rate,
            seed=self.random.randrange(1 << 32),
            first=(len(self._books) + 1) * APART,
            timeout=timeout,
            headers=headers,
        )
        self._books.append(made.ledger)
        return made

    def together(self, *traffic: Traffic, timeout: float = 20.0) -> list[ledger.Entry]:
        """Ask all of these at once and wait for their outcomes, which are in the accounts as those of loads."""
        book = self._books[0]
        entries = [book.enter(each(book.next, self.random), time.monotonic(), timeout) for each in traffic]

        async def one(client: AsyncClient, entry: ledger.Entry) -> None:
            try:
                (told,) = await client.predict_all(entry.ask.model, [entry.ask.text], timeout=timeout)
            except ShoalError as error:
                book.end(entry, error.code, f"{error.message} {error.hint}", time.monotonic())
            else:
                book.end(entry, "ok", told, time.monotonic())

        async def every() -> None:
            async with AsyncClient(self.node.url, retries=0) as client:
                await asyncio.gather(*(one(client, entry) for entry in entries))

        asyncio.run(every())
        return entries

    def check_books(self) -> None:
        """Every request has its outcome, and a right one."""
        for book in self._books:
            assert book.faults == [], self._told(book.faults)
            assert not book.open, self._told(list(book.open.values()))
            assert book.ended == book.entered, self._told([book.ended, book.entered])

    def check(self) -> None:
        """All that is said above."""
        self.check_books()
        assert self.node.process.poll() is None, self._told([self.node.log()[-4000:]])
        with urllib.request.urlopen(f"{self.node.url}/v2/health/live", timeout=10) as answer:
            assert answer.status == 200
        if self.steady:
            assert footprint.own_processes(self.pid) == self._pids, self._told(["the server's processes have changed"])
        self._check_texts()
        if self.accounted:
            found = footprint.settled(self._accounts)
            assert found == [], self._told(found)
        found = footprint.settled(self._leaks, seconds=60 if LONG else 20)
        assert found == [], self._told(found)
        self._keep_figures()

    def _accounts(self) -> list[str]:
        outcomes = ledger.total(self._books)
        untold = self.untold + sum(outcomes[each] for each in ledger.UNTOLD)
        told = Counter({code: n for code, n in outcomes.items() if code not in ledger.UNTOLD})
        counted = accounts.counted(accounts.scrape(self.node.url)) - self._counted
        return accounts.differences(counted, told, untold)

    def _leaks(self) -> list[str]:
        spares = 0 if LONG else self.spares  # the long form waits until they have gone
        return footprint.grown(self._was, footprint.measure(self.pid, self._temporary), spares)

    def _check_texts(self) -> None:
        own = "\n".join(line for line in self.node.log().splitlines() if "  model=" not in line)
        assert "Traceback" not in own, self._told([own[own.index("Traceback") - 500 :][:4000]])
        strangers = ledger.strangers(self.node.log()) + ledger.strangers(accounts.scrape(self.node.url))
        assert strangers == [], self._told([f"in logs or metrics: {strangers[:5]}"])

    def _keep_figures(self) -> None:
        outcomes = ledger.total(self._books)
        after = footprint.measure(self.pid, self._temporary)
        self.figures |= {
            "requests": outcomes.total(),
            "outcomes": dict(outcomes),
            "resident_mebi": f"{self._was.resident_mebi} -> {after.resident_mebi}",
            "seconds": round(time.monotonic() - self._begun),
        }
        if outcomes:
            self.figures["p99_ms"] = round(max(book.percentile(0.99) for book in self._books) * 1000, 1)
        sys.stdout.write(f"chaos {self.name} seed={self.seed}: {json.dumps(self.figures)}\n")

    def _told(self, found: Sequence[object]) -> str:
        """What was found, and how to see it again."""
        shown = "\n".join(str(each) for each in found[:5])
        return f"make chaos CAMPAIGN={self.name} SEED={self.seed}\n{shown}\n({len(found)} in all)"


@contextmanager
def campaign(
    name: str,
    *paths: Path,
    trust: bool = True,
    home: Path | None = None,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    temporary: Path | None = None,
) -> Iterator[Campaign]:
    """A server for a campaign: `Campaign.warm` it, hurt it; everything is checked at the end of the block.

    Args:
        name: of the test, for the command that replays it.
        paths, trust, home, arguments, environment: as `serve` takes them.
        temporary: the server's own folder for what is temporary.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        place = temporary or Path(scratch)
        own = {"TMPDIR": str(place), **(environment or {})}
        with serve(*paths, trust=trust, home=home, arguments=arguments, environment=own) as node:
            made = Campaign(name, node, place)
            yield made
            made.check()
            family = [*footprint.own_processes(made.pid), *footprint.all_workers(made.pid)]
        left = footprint.settled(lambda: [str(pid) for pid in footprint.alive(family)])
        assert left == [], made._told([f"processes outlived their server: {left}"])
