"""The connection of one gateway to one proxy, which `peering.kept` keeps.

Whoever owns it is told when it opens and when it is lost, and of each answer. What was in flight when it is lost is the
owner's to judge.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from shoal.core.clock import Clock
from shoal.core.errors import Unavailable
from shoal.core.metrics import Counter
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Answer, Ask, Cancel, Fail, Hello, Ping, State, Told, Welcome
from shoal.serving.hop.settings import HopSettings
from shoal.serving.peering.connection import Body, Connection, ProtocolError
from shoal.serving.peering.directory import Peer
from shoal.serving.peering.kept import Kept

if TYPE_CHECKING:
    from shoal.serving.hop.sending.dispatch import Pending

logger = logging.getLogger(__name__)


class Owner(Protocol):
    """Who uses links."""

    def opened(self, link: Link) -> None: ...

    def stated(self, link: Link) -> None:
        """`link.state` has been told anew."""

    def lost(self, link: Link) -> None: ...

    def answered(self, link: Link, answer: Answer, body: bytes | bytearray) -> None: ...

    def failed(self, link: Link, fail: Fail) -> None: ...


class Link(Kept):
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
        failing: it has failed since it last did what it was asked for.
        sent: counts the calls that were sent.
    """

    def __init__(self, peer: Peer, owner: Owner, *, gateway: str, settings: HopSettings, clock: Clock) -> None:
        super().__init__(
            peer,
            other="proxy",
            hello=Hello(messages.PROTOCOL, gateway),
            ping=Ping(),
            connect_seconds=settings.connect_seconds,
            clock=clock,
        )
        self.name = self.boot = ""
        self.state = State()
        self.started = False
        self.pending: dict[int, Pending] = {}
        self.rows = 0
        self.failing = False
        self.sent = Counter()
        self._owner = owner
        self._settings = settings
        self._asked: dict[int, asyncio.Future[bytes | bytearray]] = {}
        self._number = 0

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

    def _dial(self) -> Connection:
        return Connection(
            messages.decode_from_proxy,
            self._message,
            self._lost,
            frame_bytes=self._settings.frame_bytes,
            buffer_bytes=self._settings.buffer_bytes,
        )

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
            self._refuse(messages.version_error(welcome.protocol, f"the proxy at {self.peer.address}"))
            return
        self._greeted()
        self.name, self.boot = welcome.name or self.peer.address, welcome.boot
        self.state, self.started = State(), False
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
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_exception(Unavailable(f"the connection to the proxy {self.name} broke", retry_after=1.0))
        super()._lost(why)

    def _gone(self, why: str) -> None:
        logger.warning("the connection to the proxy %s is lost: %s", self.name, why)
        self._owner.lost(self)
