"""The connection of a proxy to one host of workers, which `peering.kept` keeps.

A host that drains is left as soon as nothing is under way there: so nothing is on its way to it when it ends.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import msgspec

from shoal.core.clock import Clock
from shoal.core.ipc import frames
from shoal.serving.peering.connection import Body, Connection, ProtocolError
from shoal.serving.peering.directory import Peer
from shoal.serving.peering.kept import Kept
from shoal.serving.peering.pulse import Standing
from shoal.serving.remote import messages
from shoal.serving.remote.messages import Hello, Ping, Run, State, Welcome

logger = logging.getLogger(__name__)

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


class Link(Kept):
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
        super().__init__(
            peer,
            other="host",
            hello=Hello(messages.PROTOCOL, proxy),
            ping=Ping(),
            connect_seconds=CONNECT_SECONDS,
            clock=clock,
        )
        self.name = ""
        self.draining = False
        self.under_way = 0
        self._owner = owner

    @property
    def usable(self) -> bool:
        """Whether batches may be sent there."""
        return (
            self.is_open
            and not self.draining
            and self.standing is Standing.FINE
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

    def look(self, now: float) -> Standing:
        """See `Kept.look`; the owner is told of a change."""
        before, standing = self.standing, super().look(now)
        if self.standing is not before:
            self._owner.stated(self)
        return standing

    def _dial(self) -> Connection:
        connection = Connection(
            messages.decode_from_host,
            self._message,
            self._lost,
            frame_bytes=frames.MAX_PAYLOAD,
            buffer_bytes=BUFFER_BYTES,
            max_header=frames.MAX_HEADER,
        )
        connection.on_full = lambda: self._owner.stated(self)
        return connection

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
        if welcome.protocol != messages.PROTOCOL:
            self._refuse(messages.version_error(welcome.protocol, f"the host at {self.peer.address}"))
            return
        self._greeted()
        self.name = welcome.name or self.peer.address
        self.draining, self.under_way = False, 0
        self._owner.opened(self)

    def _leave_if_done(self) -> None:
        if self.draining and not self.under_way and self._connection is not None:
            self._connection.close("it drains, and has nothing of ours any more", politely=True)

    def _gone(self, why: str) -> None:
        level = logging.INFO if self.draining else logging.WARNING
        logger.log(level, "the connection to the host %s is lost: %s", self.name, why)
        self._owner.lost(self)
