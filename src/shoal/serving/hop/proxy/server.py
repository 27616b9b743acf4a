"""Listens for gateways, and says how this proxy stands."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
from collections.abc import Callable, Collection
from pathlib import Path

from shoal.core.clock import Clock, monotonic
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.core.tasks import Tasks
from shoal.serving.hop import messages
from shoal.serving.hop.proxy.guest import Guest
from shoal.serving.hop.proxy.telling import Telling
from shoal.serving.hop.settings import ProxySettings
from shoal.serving.peering.connection import Connection
from shoal.serving.peering.listening import Listening

HEARTBEAT = 0.25
"""Seconds between two words on how the proxy stands; a change is told as soon as it is seen."""
LAST_WORDS = 1.0
"""Seconds that a gateway has to read what it was sent before the proxy closed."""


class ProxyServer:
    """The proxy's end of the hop. Made inside a running event loop.

    Args:
        models: what this process hosts.
        name: the same after a restart: models are shared out by it.
        metrics: of this process.
        clock: monotonic seconds.
        settings: limits.
        uids: users whose processes may connect to the Unix socket; None: this process's own.
    """

    def __init__(
        self,
        models: Models,
        *,
        name: str,
        metrics: Metrics,
        clock: Clock = monotonic,
        settings: ProxySettings | None = None,
        uids: Collection[int] | None = None,
    ) -> None:
        self.models = models
        self.telling = Telling(models)
        self.settings = settings or ProxySettings()
        self.clock = clock
        self.name = name
        self.boot = secrets.token_hex(8)
        self.draining = False
        self.in_flight = self.rows = 0
        self._guests: set[Guest] = set()
        self._listening = Listening(self._guest, role="proxy", guests="gateways", uids=uids)
        self._tasks = Tasks()
        self._beating = False
        self._idle = asyncio.Event()
        self._alone = asyncio.Event()
        self._guests_open = metrics.gauge("shoal_hop_gateways", "Gateways that are connected to this proxy.").labels()

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
        """How this proxy stands."""
        return messages.State(self.models.ready(), self.draining, self.in_flight, self.rows)

    async def drain(self, grace: float) -> bool:
        """Take nothing new, say so, and return when all that was taken is answered: whether it was, within `grace`
        seconds."""
        self.draining = True
        self._listening.stop()
        self._tell()
        self.settled()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        return not self.in_flight

    async def close(self) -> None:
        """Hang up on all gateways; calls that have no answer yet are cancelled."""
        self.draining = True
        self._listening.stop()
        await self._tasks.close()
        guests = list(self._guests)
        for guest in guests:
            guest.end("the proxy has stopped")
        self.left(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._alone.wait()
        for guest in guests:
            await guest.close()
        await self._listening.stopped()

    def left(self, guest: Guest | None) -> None:
        """See `guest.Host`."""
        if guest is not None:
            self._guests.discard(guest)
        self._guests_open.value = len(self._guests)
        if not self._guests:
            self._alone.set()

    def settled(self) -> None:
        """See `guest.Host`."""
        if not self.in_flight:
            self._idle.set()

    def _listens(self) -> None:
        if not self._beating:
            self._beating = True
            self._tasks.start("heartbeat", self._beat())

    def _guest(self, admit: Callable[[Connection], str]) -> Connection:
        return Guest(self, lambda guest: self._came(guest) or admit(guest.connection)).connection

    def _came(self, guest: Guest) -> str:
        """A connection is made; why it may not stay, or ""."""
        self._guests.add(guest)
        self._guests_open.value = len(self._guests)
        self._alone.clear()
        most = self.settings.gateways
        return f"{most} gateways are connected already" if len(self._guests) > most else ""

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._tell()
            silent = self.clock() - self.settings.quiet_seconds
            for guest in list(self._guests):
                if guest.heard < silent and not guest.paused:
                    guest.connection.close("nothing has come from it for too long")

    def _tell(self) -> None:
        state = self.state()
        for guest in self._guests:
            guest.tell(state)
