"""One HTTP/1.1 connection with one request at a time, as bare as it can be: the caller must cost less than servers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_HEAD = "POST {} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"


class BadAnswer(Exception):
    """What is wrong with an answer."""


class LostConnection(BadAnswer):
    """The server has closed it before it answered."""


class _Wire(asyncio.Protocol):
    """Requests out, answers in."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head + b"\r\n") if blank else None
        if found and len(body) >= int(found[1]):
            self._received = body[int(found[1]) :]
            if self._answer and not self._answer.done():
                self._answer.set_result((int(head[9:12]), body[: int(found[1])]))

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(LostConnection(f"the connection was lost: {error}"))

    def post(self, path: str, body: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(_HEAD.format(path, len(body)).encode() + body)
        return self._answer


class Connection:
    """A connection to a port of this machine, made when it is needed, and again after the server has closed it.

    Args:
        port: the port.
        again: how often a request is sent again whose connection was lost before the answer.
    """

    def __init__(self, port: int, again: int = 0) -> None:
        self._port = port
        self._again = again
        self._wire: _Wire | None = None

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            LostConnection: without an answer.
        """
        for _ in range(self._again):
            with contextlib.suppress(LostConnection):
                return await (await self._open()).post(path, body)
        return await (await self._open()).post(path, body)

    def close(self) -> None:
        """The next request makes a new one."""
        if self._wire is not None:
            self._wire.transport.close()

    async def _open(self) -> _Wire:
        if self._wire is None or self._wire.transport.is_closing():
            loop = asyncio.get_running_loop()
            _, self._wire = await loop.create_connection(_Wire, "127.0.0.1", self._port)
        return self._wire
