"""One gateway at the proxy: its requests become calls of this process's models, and their outcomes go back.

A call has exactly one outcome, and it is told exactly once. A gateway that goes away takes all its calls with it. What
it sends and what it does not read is bounded: then nothing more is read from it until there is room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from shoal.core.call import Dispatch, State
from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, ErrorRecord, InternalError, InvalidInput, NotFound, NotReady, ShoalError
from shoal.core.model import ModelState
from shoal.core.ports import Models
from shoal.core.tasks import Tasks
from shoal.serving.hop import messages
from shoal.serving.hop.messages import HEDGE, Answer, Ask, Cancel, Fail, Hello, Ping, Pong, Submit, Told, Welcome
from shoal.serving.hop.proxy.call import HopCall
from shoal.serving.hop.proxy.telling import Telling
from shoal.serving.hop.settings import ProxySettings
from shoal.serving.peering.connection import Connection, ProtocolError

logger = logging.getLogger(__name__)

DRAINING = ErrorRecord("unavailable", "the proxy is stopping and takes no new requests", retry_after=1.0)


class Host(Protocol):
    """What a guest needs of the server.

    Attributes:
        in_flight, rows: of all guests, kept up to date by them.
    """

    models: Models
    telling: Telling
    settings: ProxySettings
    clock: Clock
    name: str
    boot: str
    draining: bool
    in_flight: int
    rows: int

    def state(self) -> messages.State: ...

    def left(self, guest: Guest) -> None:
        """The gateway has gone."""

    def settled(self) -> None:
        """A call has its outcome."""


class Guest:
    """See the module. Made for each connection, before anything has come.

    Args:
        host: the server.
        admit: called when the connection is made; says why the gateway may not come in, or "".

    Attributes:
        name: of the gateway.
        heard: when something came from it last.
        greeted: it has said hello in our version.
    """

    def __init__(self, host: Host, admit: Callable[[Guest], str]) -> None:
        self._host = host
        self._admit = admit
        self._calls: dict[int, HopCall] = {}
        self._bytes = 0
        self._paused = False
        self._submitting = False
        self._tasks = Tasks()
        self._asks = 0
        self.name = ""
        self.heard = host.clock()
        self.greeted = False
        self.connection = Connection(
            messages.decode_to_proxy,
            self._message,
            self._ended,
            frame_bytes=host.settings.frame_bytes,
            buffer_bytes=host.settings.buffer_bytes,
        )
        self.connection.on_open = self._opened
        self.connection.on_full = self._regulate

    @property
    def pending(self) -> int:
        """Calls that have no outcome yet."""
        return len(self._calls)

    def tell(self, state: messages.State) -> None:
        """Say how the proxy stands."""
        if self.greeted:
            self.connection.send(state)

    def answered(self, call: HopCall, body: bytes, json_length: int) -> None:
        """A call has its answer."""
        if self._calls.pop(call.number, None) is not None:
            self.connection.send(Answer(call.number, json_length), body)
            self._release(call)

    def failed(self, call: HopCall, error: ShoalError) -> None:
        """A call has an error. One that is refused before `submit` returns has certainly not been run."""
        if self._calls.pop(call.number, None) is not None:
            self.connection.send(Fail(call.number, error.to_record(), executed=not self._submitting))
            self._release(call)

    def end(self, why: str) -> None:
        """Hang up once it has been sent what it was told; what has no outcome yet is cancelled."""
        self.connection.close(why, politely=True)

    def _opened(self) -> None:
        if why := self._admit(self):
            logger.warning("a gateway was refused: %s", why)
            self.connection.close(why)

    def _message(self, message: messages.ToProxy, payload: bytes | bytearray) -> None:
        self.heard = self._host.clock()
        if type(message) is Submit and self.greeted:
            self._submit(message, payload)
        elif isinstance(message, Hello):
            self._greet(message)
        elif not self.greeted:
            raise ProtocolError("it did not greet first")
        elif isinstance(message, Cancel):
            self._cancel(message.id)
        elif isinstance(message, Ask):
            self._ask(message, payload)
        elif isinstance(message, Ping):
            self.connection.send(Pong())

    def _greet(self, hello: Hello) -> None:
        host, self.name = self._host, hello.name
        self.connection.send(Welcome(messages.PROTOCOL, host.name, host.boot))
        if hello.protocol != messages.PROTOCOL:
            why = messages.version_error(hello.protocol, f"the gateway {hello.name[:80]!r}")
            logger.error("%s", why)
            self.connection.close(why, politely=True)
            return
        self.greeted = True
        self.connection.send(host.state())

    def _submit(self, submit: Submit, body: bytes | bytearray) -> None:
        host = self._host
        if submit.json_length > len(body) or submit.id in self._calls:
            raise ProtocolError("a request that cannot be")
        if host.draining:
            self.connection.send(Fail(submit.id, DRAINING, executed=False))
            return
        call = HopCall(self, submit, body, self.heard)
        self._calls[submit.id] = call
        host.in_flight += 1
        host.rows += call.held_rows
        self._bytes += call.held_bytes
        if self._bytes > host.settings.pending_bytes:
            self._regulate()
        try:
            handle = host.models.find(submit.name, submit.version)
        except NotFound as error:
            self._look_for(call, submit, error)
        except ShoalError as error:
            self._refuse(call, error)
        except Exception:
            logger.exception("a request could not be taken")
            self._refuse(call, InternalError("the proxy failed; its log says why"))
        else:
            if submit.attempt == HEDGE and (handle.state is not ModelState.READY or handle.reason):
                self._refuse(call, NotReady(f"model {submit.name!r} is not in memory here"))
            else:
                self._hand_over(call, handle.dispatch)

    def _hand_over(self, call: HopCall, dispatch: Dispatch) -> None:
        call.dispatch = dispatch
        self._submitting = True
        try:
            dispatch.submit(call)
        finally:
            self._submitting = False

    def _refuse(self, call: HopCall, error: ShoalError) -> None:
        self._submitting = True
        call.fail(error)
        self._submitting = False

    def _look_for(self, call: HopCall, submit: Submit, error: NotFound) -> None:
        if submit.attempt != HEDGE and self._host.models.discoverable(submit.name, submit.version):
            self._tasks.start(f"look for {submit.name}", self._look(call, submit))
        else:
            self._refuse(call, error)

    async def _look(self, call: HopCall, submit: Submit) -> None:
        left = call.deadline - self._host.clock()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                handle = await self._host.telling.handle(submit.name, submit.version)
        except TimeoutError:
            self._refuse(call, DeadlineExceeded(f"nobody could say in time whether there is a model {submit.name!r}"))
        except ShoalError as error:
            self._refuse(call, error)
        else:
            if call.state is not State.DONE:
                self._hand_over(call, handle.dispatch)

    def _cancel(self, number: int) -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            self._drop(call)

    def _drop(self, call: HopCall) -> None:
        if call.dispatch is not None:
            call.dispatch.cancel(call)
        else:
            call.cancel()
        self._release(call)

    def _release(self, call: HopCall) -> None:
        host = self._host
        host.in_flight -= 1
        host.rows -= call.held_rows
        self._bytes -= call.held_bytes
        if self._paused:
            self._regulate()
        if host.draining:
            host.settled()

    def _regulate(self) -> None:
        """Read from the gateway only while there is room for what it sends, and it reads what it is sent."""
        limit = self._host.settings.pending_bytes * (0.75 if self._paused else 1.0)
        paused = self.connection.full or self._bytes > limit
        if paused != self._paused:
            self._paused = paused
            if paused:
                self.connection.pause_reading()
            else:
                self.heard = self._host.clock()
                self.connection.resume_reading()

    @property
    def paused(self) -> bool:
        """Nothing is read from it just now, so that its silence says nothing."""
        return self._paused

    def _ask(self, ask: Ask, payload: bytes | bytearray) -> None:
        if self._asks >= self._host.settings.asks:
            error = ErrorRecord("overloaded", f"{self._asks} questions about models are open", retry_after=1.0)
            self.connection.send(Told(ask.id, error))
            return
        self._asks += 1
        self._tasks.start(f"{ask.what} {ask.name}", self._answer(ask, payload))

    async def _answer(self, ask: Ask, payload: bytes | bytearray) -> None:
        try:
            told = await self._host.telling.answer(ask, payload)
        except ShoalError as error:
            self.connection.send(Told(ask.id, error.to_record()))
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.connection.send(Told(ask.id, InvalidInput("the question cannot be read").to_record()))
        except Exception as error:
            logger.exception("a question about models could not be answered")
            self.connection.send(Told(ask.id, messages.record_of(error)))
        else:
            self.connection.send(Told(ask.id), told)
        finally:
            self._asks -= 1

    def _ended(self, why: str) -> None:
        logger.info("a gateway has left", extra={"gateway": self.name, "why": why})
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            self._drop(call)
        self._host.left(self)

    async def close(self) -> None:
        """End whatever still runs for it."""
        self.connection.abort()
        await self._tasks.close()
