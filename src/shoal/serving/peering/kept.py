"""Our end of a connection to another process: made, greeted, looked after, and made again when it breaks.

    connecting ──▶ greeting ──welcome──▶ open ──broken──▶ pausing (longer each time) ──▶ connecting
                       └──another protocol, no answer──▶ pausing

What the two say to each other is for those who inherit from this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from shoal.core.clock import Clock
from shoal.serving.peering.connection import Connection
from shoal.serving.peering.course import Course, Stage, WrongStage
from shoal.serving.peering.directory import Peer
from shoal.serving.peering.pulse import Pulse, Standing

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0


class Kept:
    """See the module.

    Args:
        peer: where the other process is.
        other: what it is, for messages: ``proxy``.
        hello, ping: what it is told first, and once a second.
        connect_seconds: for a connection, TLS and greeting together.
        clock: monotonic seconds.

    Attributes:
        standing: whether it was heard of lately.
        opened_at: when the connection was made.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        other: str,
        hello: msgspec.Struct,
        ping: msgspec.Struct,
        connect_seconds: float,
        clock: Clock,
    ) -> None:
        self.peer = peer
        self.standing = Standing.FINE
        self.opened_at = 0.0
        self._other = other
        self._hello = hello
        self._ping = ping
        self._connect_seconds = connect_seconds
        self._clock = clock
        self._course = Course()
        self._pulse = Pulse(clock())
        self._pinged = 0.0
        self._received = 0
        self._refused = False
        self._connection: Connection | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._awake = asyncio.Event()

    def _dial(self) -> Connection:
        """A connection that is not made yet; `_lost` is to be told of its end."""
        raise NotImplementedError

    def _gone(self, why: str) -> None:
        """The connection was open, and is no more."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        return self._course.stage is Stage.OPEN

    def look(self, now: float) -> Standing:
        """How the other one stands; to be called several times a second. A dead one is hung up on."""
        if not self.is_open or self._connection is None:
            return Standing.FINE
        if self._connection.received != self._received:
            self._received = self._connection.received
            self._pulse.heard(now)
        self.standing = self._pulse.look(now)
        if self.standing is Standing.DEAD:
            self._connection.close(f"nothing was heard of the {self._other} for too long")
        elif now - self._pinged >= PING_SECONDS:
            self._pinged = now
            self._connection.send(self._ping)
        return self.standing

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
        """Connect, and return when the connection is lost: whether the other one was refused."""
        loop = asyncio.get_running_loop()
        self._refused = False
        greeting, ended = self._greeting, self._ended = loop.create_future(), loop.create_future()
        connection = self._connection = self._dial()
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self.peer.connect(lambda: connection)
                self._course.connected()
                connection.send(self._hello)
                await greeting
        except (OSError, TimeoutError, ValueError, WrongStage) as error:  # the last: it was over before it began
            logger.debug("no connection to the %s at %s: %s", self._other, self.peer.address, error)
            connection.close("no connection")
            return False
        await ended
        return self._refused

    def _greeted(self) -> None:
        """The other one speaks our language: the connection is open from now on."""
        now = self._clock()
        self._course.welcomed(now)
        self.opened_at = now
        self.standing, self._pulse = Standing.FINE, Pulse(now)
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(None)

    def _refuse(self, why: str) -> None:
        """The other one does not: it is tried again later, as it may have been replaced."""
        assert self._connection is not None
        logger.error("%s", why)
        self._refused = True
        self._connection.close(why)

    def _lost(self, why: str) -> None:
        was_open = self.is_open
        self._course.lost()
        for waiting in (self._greeting, self._ended):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if was_open:
            self._gone(why)
