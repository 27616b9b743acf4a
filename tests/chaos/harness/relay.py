"""A TCP proxy that hurts the connections through it: each gets the next `Harm` of those that it was given.

open        everything, after `delay` seconds for each piece and up to `jitter` more
stall       `after` bytes, then nothing, and both ends stay open
reset       `after` bytes, then RST to both
truncate    `after` bytes, then the end of the stream to both
trickle     `after` bytes, then one byte at a time
corrupt     everything, with one bit of the byte at `after` turned

Harm is done to one direction: what the client sends, or what the server answers. The other is passed on as it is.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["open", "stall", "reset", "truncate", "trickle", "corrupt"]
KINDS: tuple[Kind, ...] = ("open", "stall", "reset", "truncate", "trickle", "corrupt")
PIECE = 16_384


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to one connection; see the module. Seconds, and bytes."""

    kind: Kind = "open"
    after: int = 0
    delay: float = 0.0
    jitter: float = 0.0
    answers: bool = False
    pause: float = 0.001


def any_harm(random: Random, most: int = 400) -> Harm:
    """Any of them, within the first `most` bytes."""
    return Harm(
        random.choice(KINDS),
        random.randrange(most),
        delay=random.choice((0.0, 0.0, 0.02)),
        jitter=random.choice((0.0, 0.01)),
        answers=random.random() < 0.5,
    )


class ChaosRelay:
    """A running relay to one server.

    Attributes:
        port: where it listens.
        connections: that came.
    """

    def __init__(self, target: tuple[str, int], harms: Callable[[Random], Harm], seed: int) -> None:
        self._target = target
        self._harms = harms
        self._random = Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="relay")
        self.port = 0
        self.connections = 0

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        """End all connections; those that stall are reset."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _main(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        ends = [writer]
        try:
            with suppress(asyncio.CancelledError):
                await self._carry(reader, ends, self._harms(self._random))
        finally:
            for end in ends:  # also where the relay is stopped in the middle of ending this one
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, ends: list[asyncio.StreamWriter], harm: Harm) -> None:
        """Pass on both directions; `ends` gets the far one, too."""
        (writer,) = ends
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        ends.append(far_writer)
        there, back = (Harm(), harm) if harm.answers else (harm, Harm())
        ways = [
            asyncio.ensure_future(self._pass(reader, far_writer, there)),
            asyncio.ensure_future(self._pass(far_reader, writer, back)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            broken = any(isinstance(each, OSError) for each in await asyncio.gather(*ways, return_exceptions=True))
            for end in ends:
                _reset(end) if broken or harm.kind == "reset" else end.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(end.wait_closed() for end in ends)), 1)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, harm: Harm) -> None:
        """One direction, until its end; a reset is an `OSError`."""
        passed = 0
        while data := await reader.read(PIECE):
            if harm.delay or harm.jitter:
                await asyncio.sleep(harm.delay + self._random.random() * harm.jitter)
            whole = len(data)
            await self._write(writer, self._hurt(harm, passed, data), harm, passed)
            passed += whole
            if harm.kind in ("stall", "reset", "truncate") and passed > harm.after:
                if harm.kind == "reset":
                    raise ConnectionResetError
                if harm.kind == "truncate":
                    break
                await self._over.wait()
        with suppress(OSError, RuntimeError):
            writer.write_eof()

    def _hurt(self, harm: Harm, passed: int, data: bytes) -> bytes:
        at = harm.after - passed
        if harm.kind == "corrupt" and 0 <= at < len(data):
            return data[:at] + bytes((data[at] ^ 1 << self._random.randrange(8),)) + data[at + 1 :]
        return data[: max(0, at)] if harm.kind in ("stall", "reset", "truncate") else data

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, harm: Harm, passed: int) -> None:
        if harm.kind != "trickle":
            writer.write(data)
            await writer.drain()
            return
        at = max(0, harm.after - passed)
        writer.write(data[:at])
        for byte in data[at:]:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(harm.pause)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        given: socket.socket = writer.get_extra_info("socket")
        given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def chaos_relay(port: int, harms: Callable[[Random], Harm], seed: int) -> Iterator[ChaosRelay]:
    """A relay to a server of this machine, which lives as long as the block."""
    made = ChaosRelay(("127.0.0.1", port), harms, seed)
    made.start()
    try:
        yield made
    finally:
        made.stop()
