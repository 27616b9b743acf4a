"""All hosts of workers that a proxy knows of: links that come and go with the directory, and the models that use them.

Each model is opened at each host. A host that refuses one (it has no such files, or others; it cannot load it) is asked
again after a while, so that one that gets them later runs it then.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import Protocol

from shoal.core.clock import Clock, monotonic
from shoal.core.metrics import Metrics
from shoal.core.tasks import Tasks
from shoal.serving.peering.directory import Directory
from shoal.serving.remote import messages
from shoal.serving.remote.link import Link
from shoal.serving.remote.messages import Died, FromHost, Lost, Opened, Ran, Refused, Slots

logger = logging.getLogger(__name__)

TICK = 0.1


class User(Protocol):
    """A model whose batches go to hosts; see `workers`."""

    def met(self, link: Link) -> None:
        """The host is there."""

    def considered(self, link: Link) -> None:
        """`link.usable` may have changed."""

    def parted(self, link: Link) -> None:
        """The host is there no more, and what was under way is lost."""

    def opened(self, link: Link, opened: Opened) -> None: ...

    def refused(self, link: Link, refused: Refused) -> None: ...

    def slots(self, link: Link, slots: Slots) -> None: ...

    def ran(self, link: Link, ran: Ran, payload: bytes | bytearray) -> None: ...

    def lost(self, link: Link, lost: Lost) -> None: ...

    def died(self, died: Died) -> None: ...

    def tick(self, now: float) -> None: ...


class Crew:
    """See the module; implements `link.Owner`. Made inside a running event loop.

    Args:
        directory: where hosts may be.
        name: of this proxy.
        metrics: of this process.
        clock: monotonic seconds.

    Attributes:
        clock: see above.
    """

    def __init__(self, directory: Directory, *, name: str, metrics: Metrics, clock: Clock = monotonic) -> None:
        self.clock = clock
        self._directory = directory
        self._name = name
        self._links: dict[str, tuple[Link, asyncio.Task[None]]] = {}
        self._users: dict[int, User] = {}
        self._batches: dict[int, User] = {}
        self._numbers = itertools.count(1)
        self._tasks = Tasks()
        self._open = metrics.gauge("shoal_hosts", "Hosts of workers that are connected to this proxy.").labels()
        self._sent = metrics.counter("shoal_host_batches_total", "Batches that were sent to a host.", ("host",))
        self._gone = metrics.counter(
            "shoal_host_batches_lost_total", "Batches that were under way at a host when it was lost.", ("host",)
        )

    async def start(self) -> None:
        """Connect to whoever is there, and follow who comes and goes."""
        self._directory.on_change = self._follow
        await self._directory.start()
        self._follow()
        self._tasks.start("watch hosts", self._watch())

    async def close(self) -> None:
        """Hang up."""
        self._directory.on_change = lambda: None
        await self._directory.close()
        await self._tasks.close()

    @property
    def links(self) -> list[Link]:
        """All hosts that are connected."""
        return [link for link, _ in self._links.values() if link.is_open]

    def number(self) -> int:
        """A number for a model; never twice."""
        return next(self._numbers)

    def join(self, number: int, user: User) -> None:
        """Have the messages about the model of this number passed to it; it meets the hosts that are there."""
        self._users[number] = user
        for link in self.links:
            user.met(link)

    def leave(self, number: int) -> None:
        """The model is not wanted any more, anywhere."""
        if self._users.pop(number, None) is not None:
            for link in self.links:
                link.send(messages.Close(number))

    def batch(self, user: User, link: Link) -> int:
        """The number of the next batch, which is about to be sent there."""
        number = next(self._numbers)
        self._batches[number] = user
        self._sent.labels(link.name).inc()
        return number

    def ended(self, number: int, link: Link) -> None:
        """The batch has its outcome."""
        if self._batches.pop(number, None) is not None:
            link.ended()

    def lose(self, number: int, link: Link) -> None:
        """The batch was under way at a host that is gone."""
        self._batches.pop(number, None)
        self._gone.labels(link.name).inc()

    # What links tell

    def opened(self, link: Link) -> None:
        logger.info("connected to the host of workers %s", link.name)
        self._open.value = len(self.links)
        for user in list(self._users.values()):
            user.met(link)

    def stated(self, link: Link) -> None:
        for user in list(self._users.values()):
            user.considered(link)

    def lost(self, link: Link) -> None:
        self._open.value = len(self.links)
        for user in list(self._users.values()):
            user.parted(link)
        self._directory.look()
        self._follow()

    def told(self, link: Link, message: FromHost, payload: bytes | bytearray) -> None:
        match message:
            case Ran(id=number) if (user := self._batches.get(number)) is not None:
                user.ran(link, message, payload)
            case Lost(id=number) if (user := self._batches.get(number)) is not None:
                user.lost(link, message)
            case Opened(model=number) if (user := self._users.get(number)) is not None:
                user.opened(link, message)
            case Refused(model=number) if (user := self._users.get(number)) is not None:
                user.refused(link, message)
            case Slots(model=number) if (user := self._users.get(number)) is not None:
                user.slots(link, message)
            case Died(model=number) if (user := self._users.get(number)) is not None:
                user.died(message)
            case _:
                logger.debug("of something that is over: %s", type(message).__name__)

    def _follow(self) -> None:
        """Have a link to each peer, and to nobody else."""
        peers = self._directory.peers
        for address, (link, task) in list(self._links.items()):
            if address not in peers:
                link.leave()
                if not link.is_open:
                    del self._links[address]
                    task.cancel()
            elif link.peer != peers[address]:
                link.peer = peers[address]
                link.nudge()
        for address, peer in peers.items():
            if address not in self._links:
                link = Link(peer, self, proxy=self._name, clock=self.clock)
                self._links[address] = link, self._tasks.start(f"link to {address}", link.run())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self.clock()
            for link, _ in list(self._links.values()):
                link.look(now)
            for user in list(self._users.values()):
                user.tick(now)
            if self._directory.peers.keys() != self._links.keys():
                self._follow()
