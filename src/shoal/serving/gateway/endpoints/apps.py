"""Requests for a full-custom app, handed on over HTTP/1.1 to the Unix socket of its own process.

Connections are kept and used again; there are never more than `CONNECTIONS`, and what comes above is shed. The app sees
its own paths; `X-Forwarded-Prefix` tells where it is mounted. Hop-by-hop headers end here in both directions. An app
that is down, slow or broken is an error of its callers alone: 503, 504 or 502. Where several processes have the app,
the first of them at which somebody listens is asked. A request is sent again only if the kept connection turned out to
be closed before a byte of the answer came and the method is safe.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol

from shoal.core.errors import DeadlineExceeded, InvalidInput, ModelError, Overloaded, ShoalError, Unavailable
from shoal.core.tasks import Tasks
from shoal.serving.gateway import problems
from shoal.serving.gateway.endpoints.app_wire import Answer, AnswerReader, BadAnswer, request_bytes
from shoal.serving.gateway.exchange import Exchange

CONNECTIONS = 32
IDLE = 8
MAX_ANSWER = 64 * 1024 * 1024
READ = 256 * 1024

SAFE = (b"GET", b"HEAD", b"OPTIONS")

_TARGET = re.compile(rb"[\x21-\x7e]+")
_METHOD = re.compile(rb"[A-Z]{1,20}")


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Apps(Protocol):
    """All apps that can be reached from here."""

    def get(self, name: str, /) -> AppProxy | None:
        """The way to the app of this model; None: there is none now."""


def socket_name(model: str) -> str:
    """What the socket of a model's app is called, whatever the model is: short, as paths of sockets have to be."""
    return base64.b32encode(blake2b(model.encode(), digest_size=8).digest()).decode().rstrip("=").lower()


class AppProxy:
    """The way to one app.

    Args:
        sockets: the Unix sockets on which its processes may listen, in the order in which they are to be asked.
        max_answer: bytes of an answer.
    """

    def __init__(self, sockets: Callable[[], Sequence[str]], *, max_answer: int = MAX_ANSWER) -> None:
        self._sockets = sockets
        self._max_answer = max_answer
        self._idle: dict[str, list[_Connection]] = {}
        self._open = 0
        self._tasks = Tasks()
        self._closing = False

    def handle(
        self, exchange: Exchange, rest_of_path: bytes, hidden: Collection[bytes] = (), *, seconds: float = 60.0
    ) -> None:
        """Answer the exchange with what the app says.

        Args:
            exchange: the request.
            rest_of_path: path and query below the app's mount, beginning with a slash.
            hidden: headers that the app does not get to see.
            seconds: that the app may take.

        Raises:
            InvalidInput: the method or path cannot be handed on.
            Overloaded: as many requests as allowed wait for the app.
        """
        if not (_METHOD.fullmatch(exchange.method) and _TARGET.fullmatch(rest_of_path)):
            raise InvalidInput("the method or the path cannot be handed on to an app")
        if self._open >= CONNECTIONS:
            raise Overloaded(f"{CONNECTIONS} requests wait for this app", retry_after=1.0)
        request = request_bytes(exchange, rest_of_path, hidden)
        self._open += 1
        task = self._tasks.start("app request", self._answer(exchange, request, seconds))

        def gone() -> None:
            task.cancel()

        def done(ended: asyncio.Task[None]) -> None:
            self._open -= 1
            if ended.cancelled() and self._closing:
                self._fail(exchange, Unavailable("the app is not running any more", retry_after=1.0))

        task.add_done_callback(done)
        exchange.on_gone = gone

    async def close(self) -> None:
        """End what runs, whose callers are told, and close what is kept."""
        self._closing = True
        await self._tasks.close()
        for path in list(self._idle):
            self._drop(path)

    async def _answer(self, exchange: Exchange, request: bytes, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(exchange.method, request)
        except TimeoutError:
            self._fail(exchange, DeadlineExceeded(f"the app has not answered within {seconds:g} s"))
        except BadAnswer as error:
            self._fail(exchange, ModelError(f"the app's answer is not usable: {error}"))
        except OSError:
            self._fail(exchange, Unavailable("the app is not running", retry_after=1.0))
        else:
            exchange.on_gone = None
            exchange.respond(answer.status, answer.body, answer.content_type, answer.headers)

    def _fail(self, exchange: Exchange, error: ShoalError) -> None:
        problems.answer_error(exchange, error)

    async def _ask(self, method: bytes, request: bytes) -> Answer:
        sockets = self._sockets()
        for path in self._idle.keys() - sockets:
            self._drop(path)
        for path in sockets:
            try:
                return await self._ask_at(path, method, request)
            except (ConnectionRefusedError, FileNotFoundError):
                continue  # nobody listens there, so nothing was sent
        raise ConnectionRefusedError("nobody listens")

    async def _ask_at(self, path: str, method: bytes, request: bytes) -> Answer:
        idle = self._idle.setdefault(path, [])
        while idle:
            connection = idle.pop()
            if connection.reader.at_eof() or connection.writer.is_closing():
                connection.writer.close()
                continue
            try:
                return await self._exchange(connection, idle, method, request)
            except ConnectionError:
                if method not in SAFE:
                    raise
        reader, writer = await asyncio.open_unix_connection(path)
        return await self._exchange(_Connection(reader, writer), idle, method, request)

    def _drop(self, path: str) -> None:
        """Close what is kept to this socket."""
        for connection in self._idle.pop(path, ()):
            connection.writer.close()

    async def _exchange(
        self, connection: _Connection, idle: list[_Connection], method: bytes, request: bytes
    ) -> Answer:
        keep = False
        try:
            connection.writer.write(request)
            await connection.writer.drain()
            parser = AnswerReader(head_only=method == b"HEAD", limit=self._max_answer)
            while not parser.done:
                parser.feed(await connection.reader.read(READ))
            keep = parser.keep_alive
            return parser.answer()
        finally:
            if keep and len(idle) < IDLE:
                idle.append(connection)
            else:
                connection.writer.close()
