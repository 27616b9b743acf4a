"""A small HTTP/2 server in the test's own loop: each request is a coroutine of the test's choice."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from shoal.core.wire.http2 import STREAM_SLOTS, Connection, Limits, RequestHead, Stream, encode_block


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[["Request"], Awaitable[Answer | None]]
"""Answers a request; None leaves it without an answer."""


class Request(Stream):
    """What came; `reset` gives it up."""

    __slots__ = (*STREAM_SLOTS, "body", "gone", "head", "server", "task")

    def __init__(self, server: H2Server, connection: Connection, stream_id: int, head: RequestHead) -> None:
        self._begin(connection, stream_id, head.content_length)
        self.server = server
        self.head = head
        self.body = b""
        self.gone = False
        self.task: asyncio.Task[None] | None = None

    def on_data(self, data: bytes, end: bool) -> None:
        self.body += data
        if self.task is None and (end or self.server.early):
            self.server.requests.append(self)
            self.task = asyncio.ensure_future(self._answer())

    def on_reset(self, code: int) -> None:
        self.gone = True
        self.server.resets.append(code)
        if self.task is not None:
            self.task.cancel()

    async def _answer(self) -> None:
        answer = await self.server.handler(self)
        if answer is None or self.gone:
            return
        self.send_headers(encode_block([(b":status", b"%d" % answer.status), *answer.headers]))
        self.send_data(answer.body, not answer.trailers)
        if answer.trailers:
            self.send_trailers(encode_block(answer.trailers))


class _Peer(asyncio.Protocol):
    def __init__(self, server: H2Server) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connection = Connection(
            self.server.limits, self._wake, accept=lambda *given: Request(self.server, *given), now=monotonic()
        )
        self.server.peers.append(self)

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self.transport.write(self.connection.sender.take())
        if self.connection.closed:
            self.transport.close()
        elif self.connection.sender.blocked:
            self.connection.sender.pump()

    def data_received(self, data: bytes) -> None:
        self.connection.receive(data, monotonic())

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lose()


@dataclass
class H2Server:
    """Use with ``async with``; `url` is where it is. With `early`, it answers before it has the whole body."""

    handler: Handler
    limits: Limits = field(default_factory=Limits)
    tls: ssl.SSLContext | None = None
    port: int = 0
    early: bool = False
    requests: list[Request] = field(default_factory=list)
    resets: list[int] = field(default_factory=list)
    peers: list[_Peer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    async def __aenter__(self) -> H2Server:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Peer(self), "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self._listener.close()
        for peer in self.peers:
            peer.transport.abort()
        await self._listener.wait_closed()
        await asyncio.sleep(0)


@contextmanager
def in_thread(server: H2Server) -> Iterator[H2Server]:
    """The server in a loop and thread of its own, for clients that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="h2-server", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(5)
        yield server
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
