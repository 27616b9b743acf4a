"""All proxies that a gateway knows of: links that come and go with the directory, and which of them get requests.

Requests go to proxies that are connected, ready, not draining, heard of lately and not ejected. If there is none, those
that are connected and not draining have to do: a proxy that is not well is better than none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Protocol

from shoal.core.clock import Clock
from shoal.core.tasks import Tasks
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Answer, Fail
from shoal.serving.hop.policy.choice import Choice
from shoal.serving.hop.policy.health import Outliers
from shoal.serving.hop.settings import HopSettings
from shoal.serving.peering.directory import Directory
from shoal.serving.peering.pulse import Standing

logger = logging.getLogger(__name__)

TICK = 0.1
WELL_SECONDS = 1.0
"""A proxy that has been connected for so long is well: what failed before is not the beginning of a row."""


class Users(Protocol):
    """Who has calls in flight."""

    def answered(self, link: Link, answer: Answer, body: bytes | bytearray) -> None: ...

    def failed(self, link: Link, fail: Fail) -> None: ...

    def broken(self, link: Link) -> None:
        """What is in flight on this link has to go elsewhere."""

    def changed(self) -> None:
        """Other proxies than before may be sent requests."""

    def hot(self) -> Mapping[str, float]:
        """Rows in flight by key."""
        ...


class Proxies:
    """See the module; implements `link.Owner`.

    Attributes:
        revision: grows when `links` may have another answer.
        without_since: since when no proxy can be sent requests; None: one can.
    """

    def __init__(
        self, directory: Directory, *, name: str, settings: HopSettings, clock: Clock, instruments: HopInstruments
    ) -> None:
        self._directory = directory
        self._name = name
        self._settings = settings
        self._clock = clock
        self._instruments = instruments
        self._choice = Choice(settings.hot_rows, settings.factor)
        self._outliers = Outliers()
        self._links: dict[str, tuple[Link, asyncio.Task[None]]] = {}
        self._usable: dict[str, Link] = {}
        self._tasks = Tasks()
        self._users: Users | None = None
        self.revision = 0
        self.without_since: float | None = clock()
        self._there = asyncio.Event()

    async def start(self, users: Users) -> None:
        """Connect to whoever is there, and follow who comes and goes."""
        self._users = users
        self._directory.on_change = self._follow
        await self._directory.start()
        self._follow()
        self._tasks.start("watch proxies", self._watch())

    async def close(self) -> None:
        """Hang up."""
        self._directory.on_change = lambda: None
        await self._directory.close()
        await self._tasks.close()

    @property
    def open(self) -> list[Link]:
        """All that are connected, by name."""
        links = [link for link, _ in self._links.values() if link.is_open]
        return sorted(links, key=lambda link: link.name)

    @property
    def usable(self) -> list[Link]:
        """Those that are sent requests."""
        return list(self._usable.values())

    def patience(self) -> float:
        """Seconds that it makes sense to wait for a proxy: less the longer there has been none; 0 if there is one."""
        if self.without_since is None:
            return 0.0
        return max(0.0, self._settings.patience_seconds - (self._clock() - self.without_since))

    async def there(self) -> None:
        """Return when there is a proxy, or there has been none for too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience()):
                await self._there.wait()

    def links(self, key: str) -> list[Link]:
        """Where requests for this key go: one proxy, but for what is hot; none if there is none."""
        return [self._usable[name] for name in self._choice.owners(key)]

    def ranked(self, key: str) -> list[Link]:
        """All that could be sent such requests, the best first."""
        return [self._usable[name] for name in self._choice.ranked(key)]

    # What links tell

    def opened(self, link: Link) -> None:
        logger.info("connected to the proxy %s", link.name)
        link.sent = self._instruments.calls.labels(link.name)
        self._consider()

    def stated(self, link: Link) -> None:
        if link.failing and self._clock() - link.opened_at >= WELL_SECONDS:
            self.fine(link)
        self._consider()

    def lost(self, link: Link) -> None:
        if not link.state.draining:
            self.fault(link)
        self._consider()
        self._directory.look()
        if self._users is not None:
            self._users.broken(link)

    def answered(self, link: Link, answer: Answer, body: bytes | bytearray) -> None:
        if self._users is not None:
            self._users.answered(link, answer, body)

    def failed(self, link: Link, fail: Fail) -> None:
        if self._users is not None:
            self._users.failed(link, fail)

    def fault(self, link: Link) -> None:
        """Its connection has failed. What models do is no reason: nobody can have a proxy ejected by what is asked."""
        link.failing = True
        if self._outliers.failure(link.name, self._clock()):
            logger.warning("the proxy %s failed again and again and is left out for a while", link.name)
            self._instruments.ejections.labels(link.name).inc()
            self._consider()

    def fine(self, link: Link) -> None:
        """It has done what it was asked for, or has been there for a while; to be told after a fault only."""
        link.failing = False
        self._outliers.success(link.name)

    def _follow(self) -> None:
        """Have a link to each peer, and to nobody else."""
        peers = self._directory.peers
        for address, (link, task) in list(self._links.items()):
            if address not in peers:
                if not link.is_open:  # one that still answers ends by itself
                    del self._links[address]
                    task.cancel()
            elif link.peer != peers[address]:
                link.peer = peers[address]
                link.nudge()
        for address, peer in peers.items():
            if address not in self._links:
                link = Link(peer, self, gateway=self._name, settings=self._settings, clock=self._clock)
                self._links[address] = link, self._tasks.start(f"link to {address}", link.run())

    def _consider(self) -> None:
        """Find out who is to be sent requests."""
        now = self._clock()
        links = {link.name: link for link in self.open if not link.state.draining}
        self._outliers.update({link.name for link, _ in self._links.values() if link.name})
        out = self._outliers.ejected(now)
        good = {
            name: link
            for name, link in links.items()
            if link.started and link.standing is Standing.FINE and name not in out
        }
        usable = good or links
        if usable == self._usable:
            return
        self._usable = usable
        self._choice.update(usable)
        self.revision += 1
        self.without_since = None if usable else now
        if usable:
            self._there.set()
        else:
            self._there.clear()
        self._instruments.usable.value = len(usable)
        if self._users is not None:
            self._users.changed()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self._tick(self._clock())

    def _tick(self, now: float) -> None:
        opened = self.open
        for link in opened:
            link.look(now)
            self._instruments.in_flight.labels(link.name).value = len(link.pending)
        self._instruments.connections.value = len(opened)
        self._consider()
        before = self._choice.revision
        self._choice.balance(now, self._rows(), {link.name: self._load(link) for link in opened})
        if self._choice.revision != before:
            self.revision += 1
        if self._directory.peers.keys() != self._links.keys():
            self._follow()

    def _rows(self) -> Mapping[str, float]:
        """Rows in flight of each key, those of other gateways guessed by what they make of the proxies' load."""
        own = sum(link.rows for link in self._usable.values())
        everybody = sum(self._load(link) for link in self._usable.values())
        share = everybody / own if own else 1.0
        hot = self._users.hot() if self._users is not None else {}
        return {key: rows * share for key, rows in hot.items()}

    @staticmethod
    def _load(link: Link) -> float:
        return float(max(link.rows, link.state.rows))
