"""Request bodies, each within a bound: JSON as a typed value, a file as a spool or as a stream.

A declared length above the bound is refused before anything is read; an undeclared one as soon as it is crossed. Who
sends nothing for too long is given up.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio.from_thread
import msgspec
from starlette.requests import ClientDisconnect, Request

from shoal.core.errors import Cancelled, DeadlineExceeded, InvalidInput, StorageFull, TooLarge
from shoal.core.wire import json_guard

JSON_BYTES = 8 * 1024 * 1024
"""A manifest of 10,000 files takes about 2 MiB."""
MANY_BYTES = 64 * 1024 * 1024
JSON_IDLE_SECONDS = 30.0

T = TypeVar("T")


def body(kind: type[T], limit: int = JSON_BYTES) -> Callable[[Request], Awaitable[T]]:
    """A dependency: the JSON body as a value of `kind`.

    Raises:
        InvalidInput: it is not JSON, or does not fit; `field` says where.
        TooLarge: it is longer than `limit`.
    """
    decode = msgspec.json.Decoder(kind).decode

    async def read(request: Request) -> T:
        text = bytearray()
        async for chunk in pieces(request, limit, JSON_IDLE_SECONDS):
            text += chunk
        if not text:
            raise InvalidInput("the request has no body", hint="send JSON, as the documentation at /docs shows")
        return json_guard.parse(decode, bytes(text))

    return read


async def pieces(request: Request, limit: int, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body piece by piece.

    Raises:
        TooLarge: it is longer than `limit`.
        DeadlineExceeded: nothing came for `idle_seconds`.
        Cancelled: the sender has gone.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    got, stream = 0, request.stream()
    while chunk := await _next(stream, idle_seconds):
        got += len(chunk)
        if got > limit:
            raise _too_large(limit)
        yield chunk


async def _next(stream: AsyncIterator[bytes], idle_seconds: float) -> bytes:
    """The next piece that is not empty; b"" at the end."""
    try:
        async with asyncio.timeout(idle_seconds):
            async for chunk in stream:
                if chunk:
                    return chunk
    except TimeoutError as error:
        raise DeadlineExceeded(f"nothing was sent for {idle_seconds:g} s", hint="send it again") from error
    except ClientDisconnect as error:
        raise Cancelled("the sender has gone") from error
    return b""


async def spool(request: Request, target: Path, limit: int, idle_seconds: float) -> None:
    """Write the body to a file.

    Raises:
        StorageFull: there is no room for it.
    """
    try:
        with target.open("xb") as file:
            async for chunk in pieces(request, limit, idle_seconds):
                await asyncio.to_thread(file.write, chunk)
    except OSError as error:
        raise StorageFull(
            f"what was sent cannot be kept: {error.strerror}", hint="make room, and send it again"
        ) from error


class Stream(io.RawIOBase):
    """The body as a file that a thread reads, which the event loop fills as the bytes come; nothing is kept.

    Made on the loop; read in a worker thread of anyio.
    """

    def __init__(self, request: Request, limit: int, idle_seconds: float) -> None:
        super().__init__()
        self._pieces = pieces(request, limit, idle_seconds)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._left:
            self._left = memoryview(anyio.from_thread.run(self._fetch))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    async def drain(self) -> None:
        """Read what is left and let it go, so that the connection can be used again."""
        while await self._fetch():
            pass

    async def _fetch(self) -> bytes:
        return await anext(self._pieces, b"")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes", hint="send less at once, or raise the limit of control")
