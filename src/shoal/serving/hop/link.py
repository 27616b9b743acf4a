"""The connection of one gateway to one proxy: made, greeted, kept, and made again when it breaks.

    connecting ──▶ greeting ──Welcome──▶ open ──broken──▶ pausing (longer each time) ──▶ connecting
                       └──another protocol, no answer──▶ pausing

Whoever owns it is told when it opens and when it is lost, and of each answer. What was in flight when it is lost is the
owner's to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

from shoal.core.clock import Clock
from shoal.core.errors import ShoalError, Unavailable
from shoal.core.metrics import Counter
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Answer, Ask, Cancel, Fail, Hello, Ping, State, Told, Welcome
from shoal.serving.hop.settings import HopSettings
from shoal.serving.peering.connection import Body, Connection, ProtocolError
from shoal.serving.peering.course import Course, Stage, WrongStage
from shoal.serving.peering.directory import Peer
from shoal.serving.peering.pulse import Pulse, Standing

if TYPE_CHECKING:
    from shoal.serving.hop.sending.dispatch import Pending

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0


class Owner(Protocol):
    """Who uses links."""

    def opened(self, link: Link) -> None: ...

    def stated(self, link: Link) -> None:
        """`link.state` has been told anew."""

    def lost(self, link: Link) -> None: ...

    def answered(self, link: Link, answer: Answer, body: bytes | bytearray) -> None: ...

    def failed(self, link: Link, fail: Fail) -> None: ...


class Link:
    """See the module.

    Args:
        peer: where the proxy is.
        owner: is told.
        gateway: our name.

    Attributes:
        name: the proxy's, once it has said so.
        state: how it stands, by its own word.
        started: it has been ready since the connection was made.
        pending: calls in flight, by number.
        rows: their rows.
        standing: whether it was heard of lately.
        opened_at: when the connection was made.
        failing: it has failed since it last did what it was asked for.
        sent: counts the calls that were sent.
    """

    def __init__(self, peer: Peer, owner: Owner, *, gateway: str, settings: HopSettings, clock: Clock) -> None:
        self.peer = peer
        self.course = Course()
        self.name = self.boot = ""
        self.state = State()
        self.started = False
        self.pending: dict[int, Pending] = {}
        self.rows = 0
        self.standing = Standing.FINE
        self.opened_at = 0.0
        self.failing = False
        self.sent = Counter()
        self._owner = owner
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._pulse = Pulse(clock())
        self._pinged = 0.0
        self._asked: dict[int, asyncio.Future[bytes | bytearray]] = {}
        self._number = 0
        self._connection: Connection | None = None
        self._greeting: asyncio.Future[None] | None = None
        self._ended: asyncio.Future[None] | None = None
        self._refused = False
        self._received = 0
        self._awake = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self.course.stage is Stage.OPEN

    @property
    def full(self) -> bool:
        """More waits to be written than should."""
        return self._connection is not None and self._connection.full

    def number(self) -> int:
        """A number for a call or a question; never twice."""
        self._number += 1
        return self._number

    def send(self, message: messages.Submit | Cancel, body: Body = b"") -> None:
        """Send to an open link."""
        assert self._connection is not None
        self._connection.send(message, body)

    async def ask(self, ask: Ask, payload: bytes = b"", *, seconds: float | None) -> bytes | bytearray:
        """Ask the proxy something.

        Raises:
            ShoalError: the proxy's error; or `Unavailable`: it does not answer, or is not there.
        """
        if not self.is_open or self._connection is None:
            raise Unavailable(f"the proxy at {self.peer.address} cannot be reached", retry_after=1.0)
        future: asyncio.Future[bytes | bytearray] = asyncio.get_running_loop().create_future()
        self._asked[ask.id] = future
        self._connection.send(ask, payload)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unavailable(f"the proxy {self.name} does not answer", retry_after=1.0) from None
        finally:
            self._asked.pop(ask.id, None)

    def look(self, now: float) -> Standing:
        """How the proxy stands; to be called several times a second. A dead one is hung up on."""
        if not self.is_open or self._connection is None:
            return Standing.FINE
        if self._connection.received != self._received:
            self._received = self._connection.received
            self._pulse.heard(now)
        self.standing = self._pulse.look(now)
        if self.standing is Standing.DEAD:
            self._connection.close("nothing was heard of the proxy for too long")
        elif now - self._pinged >= PING_SECONDS:
            self._pinged = now
            self._connection.send(Ping())
        return self.standing

    def nudge(self) -> None:
        """Connect now if there is no connection."""
        self.course.nudge()
        self._awake.set()

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        try:
            while True:
                self._awake.clear()
                refused = await self._once()
                self.course.lost()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.course.pause(self._clock(), refused=refused)):
                        await self._awake.wait()
                self.course.again()
        finally:
            self.course.close()
            if self._connection is not None:
                self._connection.abort()

    async def _once(self) -> bool:
        """Connect, and return when the connection is lost: whether the proxy was refused."""
        loop = asyncio.get_running_loop()
        self._refused = False
        greeting, ended = self._greeting, self._ended = loop.create_future(), loop.create_future()
        connection = self._connection = Connection(
            messages.decode_from_proxy,
            self._message,
            self._lost,
            frame_bytes=self._settings.frame_bytes,
            buffer_bytes=self._settings.buffer_bytes,
        )
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                await self.peer.connect(lambda: connection)
                self.course.connected()
                connection.send(Hello(messages.PROTOCOL, self._gateway))
                await greeting
        except (OSError, TimeoutError, ValueError, WrongStage) as error:  # the last: it was over before it began
            logger.debug("no connection to the proxy at %s: %s", self.peer.address, error)
            connection.close("no connection")
            return False
        await ended
        return self._refused

    def _message(self, message: messages.FromProxy, payload: bytes | bytearray) -> None:
        kind = type(message)
        if kind is Answer and self.is_open:
            self._owner.answered(self, message, payload)  # type: ignore[arg-type]
        elif isinstance(message, Welcome):
            self._welcomed(message)
        elif not self.is_open:
            raise ProtocolError("it did not greet first")
        elif isinstance(message, Fail):
            self._owner.failed(self, message)
        elif isinstance(message, State):
            self.state = message
            self.started = self.started or message.ready
            self._owner.stated(self)
        elif isinstance(message, Told):
            self._told(message, payload)

    def _welcomed(self, welcome: Welcome) -> None:
        if welcome.protocol != messages.PROTOCOL:
            why = messages.version_error(welcome.protocol, f"the proxy at {self.peer.address}")
            logger.error("%s", why)
            assert self._connection is not None
            self._refused = True
            self._connection.close(why)
            return
        self.course.welcomed(self._clock())
        self.name, self.boot = welcome.name or self.peer.address, welcome.boot
        self.state, self.started = State(), False
        self.opened_at = self._clock()
        self.standing = Standing.FINE
        self._pulse = Pulse(self._clock())
        if self._greeting is not None and not self._greeting.done():
            self._greeting.set_result(None)
        self._owner.opened(self)

    def _told(self, told: Told, payload: bytes | bytearray) -> None:
        future = self._asked.pop(told.id, None)
        if future is None or future.done():
            return
        if told.error is not None:
            future.set_exception(told.error.to_error())
        else:
            future.set_result(payload)

    def _lost(self, why: str) -> None:
        was_open = self.is_open
        self.course.lost()
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_exception(_gone(self))
        for waiting in (self._greeting, self._ended):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        if was_open:
            logger.warning("the connection to the proxy %s is lost: %s", self.name, why)
            self._owner.lost(self)


def _gone(link: Link) -> ShoalError:
    return Unavailable(f"the connection to the proxy {link.name} broke", retry_after=1.0)
