"""A listener on a free port, and raw clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from shoal.serving.gateway.exchange import Exchange, WireLimits
from shoal.serving.gateway.sockets.listener import Listener


def echo(exchange: Exchange) -> None:
    """Answers with the body, or the target if there is none."""
    exchange.respond(200, exchange.body or exchange.target, b"application/octet-stream")


@contextlib.asynccontextmanager
async def listening(
    http: Callable[[Exchange], None] = echo, *, limits: WireLimits | None = None, grace: float = 2.0, **options: Any
) -> AsyncIterator[Listener]:
    """A started listener; it has no connection left when it ends."""
    listener = Listener(host="127.0.0.1", port=0, http=http, rpc={}, limits=limits or WireLimits(), **options)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop(grace)
        assert listener.connections == 0


class RawClient:
    """A TCP connection that sends what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, port: int, *, tls: ssl.SSLContext | None = None, alpn: str | None = None
    ) -> AsyncIterator[RawClient]:
        if tls is not None and alpn is not None:
            tls.set_alpn_protocols([alpn])
        name = "localhost" if tls is not None else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        client = cls(reader, writer)
        try:
            yield client
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        return int(head.split(b" ", 2)[1]), await self.reader.readexactly(length)

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Everything until the server closes; a reset ends it as well."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""


def get(target: str = "/", *headers: str) -> bytes:
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: a", *headers, "", "")).encode()


def post(body: bytes, *headers: str) -> bytes:
    lines = ("POST / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body
