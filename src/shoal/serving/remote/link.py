"""The connection of a proxy to one host of workers: made, greeted, kept, and made again when it breaks.

    connecting ──▶ greeting ──Welcome──▶ open ──broken──▶ pausing (longer each time) ──▶ connecting
                       └──another protocol, no answer──▶ pausing

A host that drains is left as soon as nothing is under way there: so nothing is on its way to it when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from shoal.core.clock import Clock
from shoal.core.ipc import frames
from shoal.serving.peering.connection import Body, Connection, ProtocolError
from shoal.serving.peering.course import Course, Stage, WrongStage
from shoal.serving.peering.directory import Peer
from shoal.serving.peering.pulse import Pulse, Standing
from shoal.serving.remote import messages
from shoal.serving.remote.messages import Hello, Ping, Run, State, Welcome

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0
CONNECT_SECONDS = 5.0
"""For a connection, TLS and greeting together."""
BUFFER_BYTES = 64 * 1024 * 1024
"""Bytes that wait to be written to one host before it is sent no more."""


class Owner(Protocol):
    """Who uses links."""

    def opened(self, link: Link) -> None: ...

    def stated(self, link: Link) -> None:
        """`link.usable` may have changed."""

    def lost(self, link: Link) -> None: ...

    def told(self, link: Link, message: messages.FromHost, payload: bytes | bytearray) -> None:
        """Anything about models and batches."""


class Link:
    """See the module.

    Args:
        peer: where the host is.
        owner: is told.
        proxy: our name.
        clock: monotonic seconds.

    Attributes:
        name: the host's, once it has said so.
        draining: it takes nothing new.
        under_way: batches that have no answer yet; kept by whoever sends them.
    """

    def __init__(self, peer: Peer, owner: Owner, *, proxy: str, clock: Clock) -> None:
        self.peer = peer
        self.name = ""
        self.draining = False
        self.under_way = 0
        self._owner = owner
        self._proxy = proxy
        self._clock = clock
        self._course = Course()
        self._pulse = Pulse(clock())
        self._standing = Standing.FINE
        self._pinged = 0.0
        self._received = 0
        self._refused = False
        self._connection: Connection | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._awake = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._course.stage is Stage.OPEN

    @property
    def usable(self) -> bool:
        """Whether batches may be sent there."""
        return (
            self.is_open
            and not self.draining
            and self._standing is Standing.FINE
            and self._connection is not None
            and not self._connection.full
        )

    def send(self, message: msgspec.Struct) -> None:
        """Send what has no body; nothing happens if there is no connection."""
        if self._connection is not None and self.is_open:
            self._connection.send(message)

    def run_batch(self, run: Run, bodies: Sequence[Body], size: int) -> None:
        """Send a batch; if the connection is at its end `lost` tells of it, later."""
        self.under_way += 1
        if self._connection is not None:
            self._connection.send_parts(run, bodies, size)

    def ended(self) -> None:
        """A batch is not under way any more."""
        self.under_way -= 1
        self._leave_if_done()

    def leave(self) -> None:
        """The host is wanted no more: hang up once it has nothing of ours."""
        if not self.draining:
            self.draining = True
            self._owner.stated(self)
        self._leave_if_done()

    def look(self, now: float) -> None:
        """Find out how the host stands; to be called several times a second. A dead one is hung up on."""
        if not self.is_open or self._connection is None:
            return
        if self._connection.received != self._received:
            self._received = self._connection.received
            self._pulse.heard(now)
        before, self._standing = self._standing, self._pulse.look(now)
        if self._standing is Standing.DEAD:
            self._connection.close("nothing was heard of the host for too long")
        elif now - self._pinged >= PING_SECONDS:
            self._pinged = now
            self._connection.send(Ping())
        if self._standing is not before:
            self._owner.stated(self)

    def nudge(self) -> None:
        """Connect now if there is no connection."""
        self._course.nudge()
        self._awake.set()

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        try:
            while True:
                self._awake.clear()
                refused = await self._once()
                self._course.lost()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._course.pause(self._clock(), refused=refused)):
                        await self._awake.wait()
                self._course.again()
        finally:
            self._course.close()
            if self._connection is not None:
                self._connection.abort()

    async def _once(self) -> bool:
        """Connect, and return when the connection is lost: whether the host was refused."""
        loop = asyncio.get_running_loop()
        self._refused = False
        greeting, ended = self._greeting, self._ended = loop.create_future(), loop.create_future()
        connection = self._connection = Connection(
            messages.decode_from_host,
            self._message,
            self._lost,
            frame_bytes=frames.MAX_PAYLOAD,
            buffer_bytes=BUFFER_BYTES,
            max_header=frames.MAX_HEADER,
        )
        connection.on_full = lambda: self._owner.stated(self)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.peer.connect(lambda: connection)
                self._course.connected()
                connection.send(Hello(messages.PROTOCOL, self._proxy))
                await greeting
        except (OSError, TimeoutError, ValueError, WrongStage) as error:  # the last: it was over before it began
            logger.debug("no connection to the host at %s: %s", self.peer.address, error)
            connection.close("no connection")
            return False
        await ended
        return self._refused

    def _message(self, message: messages.FromHost, payload: bytes | bytearray) -> None:
        if isinstance(message, Welcome):
            self._welcomed(message)
        elif not self.is_open:
            raise ProtocolError("it did not greet first")
        elif isinstance(message, State):
            if message.draining != self.draining:
                self.draining = message.draining
                self._owner.stated(self)
            self._leave_if_done()
        else:
            self._owner.told(self, message, payload)

    def _welcomed(self, welcome: Welcome) -> None:
        assert self._connection is not None
        if welcome.protocol != messages.PROTOCOL:
            why = messages.version_error(welcome.protocol, f"the host at {self.peer.address}")
            logger.error("%s", why)
            self._refused = True
            self._connection.close(why)
            return
        now = self._clock()
        self._course.welcomed(now)
        self.name = welcome.name or self.peer.address
        self.draining, self.under_way = False, 0
        self._standing, self._pulse = Standing.FINE, Pulse(now)
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(None)
        self._owner.opened(self)

    def _leave_if_done(self) -> None:
        if self.draining and not self.under_way and self._connection is not None:
            self._connection.close("it drains, and has nothing of ours any more", politely=True)

    def _lost(self, why: str) -> None:
        was_open = self.is_open
        self._course.lost()
        for waiting in (self._greeting, self._ended):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if was_open:
            level = logging.INFO if self.draining else logging.WARNING
            logger.log(level, "the connection to the host %s is lost: %s", self.name, why)
            self._owner.lost(self)
