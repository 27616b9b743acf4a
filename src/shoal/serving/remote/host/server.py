"""Listens for proxies, says that the host is there, drains it, ends it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Collection
from pathlib import Path

from shoal.core.clock import Clock, monotonic
from shoal.core.metrics import Metrics
from shoal.core.tasks import Tasks
from shoal.serving.peering.connection import Connection
from shoal.serving.peering.listening import Listening
from shoal.serving.remote import messages
from shoal.serving.remote.host.guest import Guest
from shoal.serving.remote.host.shelf import MakeWorkers, Shelf, Source

HEARTBEAT = 0.25
QUIET_SECONDS = 15.0
"""A proxy that says nothing for so long has gone."""
LAST_WORDS = 1.0
"""Seconds that a proxy has to read what it was sent before the host closed."""
MOST_PROXIES = 256


class WorkerHost:
    """Workers of models, for proxies elsewhere. Made inside a running event loop.

    Args:
        source: where models come from.
        make: makes a model's workers.
        name: of this host, for logs and metrics of proxies.
        metrics: of this process.
        clock: monotonic seconds.
        uids: users whose processes may connect to the Unix socket; None: this process's own.

    Attributes:
        shelf: the models in memory.
        draining: nothing new is taken.
    """

    def __init__(
        self,
        source: Source,
        make: MakeWorkers,
        *,
        name: str,
        metrics: Metrics,
        clock: Clock = monotonic,
        uids: Collection[int] | None = None,
    ) -> None:
        self.clock = clock
        self.name = name
        self.draining = False
        self.shelf = Shelf(source, make, metrics=metrics, clock=clock)
        self._guests: set[Guest] = set()
        self._listening = Listening(self._guest, role="host of workers", guests="proxies", uids=uids)
        self._tasks = Tasks()
        self._beating = False
        self._alone = asyncio.Event()
        self._alone.set()
        self._open = metrics.gauge("shoal_host_proxies", "Proxies that are connected to this host.").labels()

    async def listen_unix(self, path: Path | str) -> None:
        """See `Listening.unix`."""
        await self._listening.unix(path)
        self._listens()

    async def listen_tcp(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """See `Listening.tcp`."""
        port = await self._listening.tcp(host, port, ssl_context)
        self._listens()
        return port

    def state(self) -> messages.State:
        """How this host stands."""
        return messages.State(self.draining)

    @property
    def in_flight(self) -> int:
        """Batches that have no outcome yet."""
        return sum(stock.in_flight for stock in self.shelf.stocks)

    async def drain(self, grace: float) -> bool:
        """Say that nothing new is taken, and return when every proxy has all it had sent and has left: whether that
        was within `grace` seconds. What was on its way meanwhile is run, too."""
        self.draining = True
        self._listening.stop()
        self._tell()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._alone.wait()
        return not self.in_flight

    async def close(self) -> None:
        """Hang up on all proxies and end all workers."""
        self.draining = True
        self._listening.stop()
        await self._tasks.close()
        guests = list(self._guests)
        for guest in guests:
            guest.connection.close("the host has stopped", politely=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._alone.wait()
        for guest in guests:
            await guest.close()
        await self._listening.stopped()
        await self.shelf.stop()

    def left(self, guest: Guest) -> None:
        """See `guest.Host`."""
        self._guests.discard(guest)
        self._open.value = len(self._guests)
        if not self._guests:
            self._alone.set()

    def _listens(self) -> None:
        if not self._beating:
            self._beating = True
            self.shelf.start()
            self._tasks.start("heartbeat", self._beat())

    def _guest(self, admit: Callable[[Connection], str]) -> Connection:
        return Guest(self, lambda guest: self._came(guest) or admit(guest.connection)).connection

    def _came(self, guest: Guest) -> str:
        """A connection is made; why it may not stay, or ""."""
        self._guests.add(guest)
        self._open.value = len(self._guests)
        self._alone.clear()
        return f"{MOST_PROXIES} proxies are connected already" if len(self._guests) > MOST_PROXIES else ""

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._tell()
            silent = self.clock() - QUIET_SECONDS
            for guest in list(self._guests):
                if guest.heard < silent and not guest.connection.full:
                    guest.connection.close("nothing has come from it for too long")

    def _tell(self) -> None:
        state = self.state()
        for guest in list(self._guests):
            guest.tell(state)
