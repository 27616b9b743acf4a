"""One proxy at a host: the models that it has open, and its batches, each of which has exactly one outcome.

A proxy that goes away takes all its batches with it: those that wait are dropped, and of those in workers nobody hears.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from shoal.core.call import Call, Format
from shoal.core.clock import Clock
from shoal.core.errors import ErrorRecord, ShoalError
from shoal.core.ipc import frames
from shoal.core.ipc.messages import Done
from shoal.core.tasks import Tasks
from shoal.serving.peering.connection import Connection, ProtocolError
from shoal.serving.pool.jobs import Loss
from shoal.serving.remote import messages
from shoal.serving.remote.host.shelf import Shelf
from shoal.serving.remote.host.stock import Errand, Stock
from shoal.serving.remote.messages import (
    Close,
    Died,
    Hello,
    Lost,
    Open,
    Opened,
    Ping,
    Ran,
    Refused,
    Run,
    Scale,
    Slots,
    Welcome,
)

logger = logging.getLogger(__name__)

BUFFER_BYTES = 64 * 1024 * 1024
"""Answers that wait to be written before nothing more is read from the proxy."""
MOST_MODELS = 100_000
GONE = "not_open"
"""Label of the loss of a batch of a model that is not open: it was never begun."""


class Host(Protocol):
    """What a guest needs of the server."""

    shelf: Shelf
    clock: Clock
    name: str

    def state(self) -> messages.State: ...

    def left(self, guest: Guest) -> None:
        """The proxy has gone."""


class Guest:
    """See the module; implements `stock.User`. Made for each connection, before anything has come.

    Args:
        host: the server.
        admit: called when the connection is made; says why the proxy may not come in, or "".

    Attributes:
        name: of the proxy.
        heard: when something came from it last.
        greeted: it has said hello in our version.
    """

    def __init__(self, host: Host, admit: Callable[[Guest], str]) -> None:
        self.name = ""
        self.heard = host.clock()
        self.greeted = False
        self._host = host
        self._admit = admit
        self._wanted: dict[int, messages.Wanted] = {}
        self._open: dict[int, Stock] = {}
        self._numbers: dict[Stock, set[int]] = {}
        self._tasks = Tasks()
        self.connection = Connection(
            messages.decode_to_host,
            self._message,
            self._ended,
            frame_bytes=frames.MAX_PAYLOAD,
            buffer_bytes=BUFFER_BYTES,
            max_header=frames.MAX_HEADER,
        )
        self.connection.on_open = self._opened
        self.connection.on_full = self._regulate

    def tell(self, state: messages.State) -> None:
        """Say that the host is there."""
        if self.greeted:
            self.connection.send(state)

    # What models tell

    def slots(self, stock: Stock, slots: int) -> None:
        for number in self._numbers.get(stock, ()):
            self.connection.send(Slots(number, slots, stock.workers.ready, stock.workers.failure))

    def died(self, stock: Stock, reason: str) -> None:
        for number in self._numbers.get(stock, ()):
            self.connection.send(Died(number, reason))

    def ended(self, errand: Errand, done: Done, payload: bytes | bytearray) -> None:
        self.connection.send(Ran(errand.number, done), payload)

    def failed(self, errand: Errand, loss: Loss) -> None:
        self.connection.send(Lost(errand.number, loss.reason, loss.suspect, loss.outside))

    # What the proxy says

    def _opened(self) -> None:
        if why := self._admit(self):
            logger.warning("a proxy was refused: %s", why)
            self.connection.close(why)

    def _message(self, message: messages.ToHost, payload: bytes | bytearray) -> None:
        self.heard = self._host.clock()
        if isinstance(message, Run) and self.greeted:
            self._run(message, payload)
        elif isinstance(message, Hello):
            self._greet(message)
        elif not self.greeted:
            raise ProtocolError("it did not greet first")
        elif isinstance(message, Open):
            self._want(message)
        elif isinstance(message, Close):
            self._close(message.model)
        elif isinstance(message, Scale):
            if (stock := self._open.get(message.model)) is not None:
                stock.scale(self, message.workers)
        elif isinstance(message, Ping):
            self.connection.send(self._host.state())

    def _greet(self, hello: Hello) -> None:
        self.name = hello.name
        self.connection.send(Welcome(messages.PROTOCOL, self._host.name))
        if hello.protocol != messages.PROTOCOL:
            why = messages.version_error(hello.protocol, f"the proxy {hello.name[:80]!r}")
            logger.error("%s", why)
            self.connection.close(why, politely=True)
            return
        self.greeted = True
        self.connection.send(self._host.state())

    def _want(self, wish: Open) -> None:
        if len(self._wanted) >= MOST_MODELS:
            raise ProtocolError("it opens too many models")
        self._close(wish.model)
        self._wanted[wish.model] = wish.wanted
        self._tasks.start(f"open {wish.wanted.name}", self._take(wish))

    async def _take(self, wish: Open) -> None:
        try:
            stock = await self._host.shelf.take(wish.wanted)
        except ShoalError as error:
            self._refuse(wish, error.to_record())
        except Exception:
            logger.exception("a model could not be opened", extra={"model": wish.wanted.name})
            self._refuse(wish, ErrorRecord("internal", "the host failed; its log says why"))
        else:
            if self._wanted.get(wish.model) is wish.wanted and stock.loaded is not None:
                self._open[wish.model] = stock
                self._numbers.setdefault(stock, set()).add(wish.model)
                self.connection.send(Opened(wish.model, stock.loaded))
                stock.open(self)

    def _refuse(self, wish: Open, error: ErrorRecord) -> None:
        if self._wanted.get(wish.model) is wish.wanted:
            del self._wanted[wish.model]
            self.connection.send(Refused(wish.model, error))

    def _close(self, number: int) -> None:
        self._wanted.pop(number, None)
        stock = self._open.pop(number, None)
        if stock is not None:
            self._numbers[stock].discard(number)
            if not self._numbers[stock]:
                del self._numbers[stock]
                stock.close(self)

    def _run(self, run: Run, payload: bytes | bytearray) -> None:
        stock = self._open.get(run.model)
        if stock is None:
            self.connection.send(Lost(run.id, GONE, suspect=False, outside=True))
        else:
            calls = _calls(run, payload, self.heard)
            stock.run(Errand(stock, self, run.id, calls, rows=run.rows, max_size=run.max_size, aside=run.aside))

    def _regulate(self) -> None:
        """Read from the proxy only while it reads what it is sent."""
        if self.connection.full:
            self.connection.pause_reading()
        else:
            self.heard = self._host.clock()
            self.connection.resume_reading()

    def _ended(self, why: str) -> None:
        logger.info("a proxy has left", extra={"proxy": self.name, "why": why})
        for number in list(self._open):
            self._close(number)
        self._wanted.clear()
        self._host.left(self)

    async def close(self) -> None:
        """End whatever still runs for it."""
        self.connection.abort()
        await self._tasks.close()


def _calls(run: Run, payload: bytes | bytearray, now: float) -> list[Call]:
    """The items of a batch.

    Raises:
        ProtocolError: the columns do not fit each other, or the payload.
    """
    columns = (run.formats, run.lengths, run.json_lengths, run.seconds)
    if not run.lengths or len({len(each) for each in columns}) != 1 or sum(run.lengths) != len(payload):
        raise ProtocolError("a batch whose columns do not fit")
    bodies, calls, at = memoryview(payload), [], 0
    for number, length, json_length, seconds in zip(*columns, strict=True):
        if json_length > length or number not in _FORMATS:
            raise ProtocolError("an item that cannot be")
        body = bodies[at : at + length]
        calls.append(Call(_FORMATS[number], body, arrived=now, deadline=now + seconds, json_length=json_length))
        at += length
    return calls


_FORMATS = {int(each): each for each in Format}
