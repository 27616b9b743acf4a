"""A node that is split over processes, as a test sees it: which processes there are, and callers that go on and on."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.testing.node import RunningNode
from support.controls import clean
from support.processes import children, command_of, workers

SPACING = 0.02
"""Seconds between two requests: fifty in a second."""
BUSY = 0.03
"""Seconds that the model takes for each: so that one worker is not enough for all of them."""
PATIENCE = 30.0

WHO = """\
import os
import time

class Who:
    def predict_all(self, inputs: list[str]) -> list[str]:
        time.sleep(max(float(text.partition("slow")[2] or 0) for text in inputs))
        return [f"{os.getpid()}:{text}" for text in inputs]
"""
"""A model that says which worker has answered; with ``slow1`` after a second."""


class Parts:
    """The processes of a running tree, as they are now."""

    def __init__(self, node: RunningNode) -> None:
        self._node = node

    def pid(self, member: str) -> int:
        """Of a part, such as ``proxy-1``, or of ``control``; 0 while it is not there."""
        for child in children(self._node.process.pid):
            words = command_of(child).split(b"\0")
            if member.encode() in (words[3:4] if member == "control" else words):
                return child
        return 0

    def all(self) -> list[int]:
        """All of them, with their workers."""
        parts = children(self._node.process.pid)
        return [*parts, *(worker for part in parts for worker in children(part))]

    def workers(self, member: str) -> list[int]:
        """The workers of a proxy."""
        return workers(self.pid(member))

    @property
    def folder(self) -> Path:
        """The run folder."""
        words = command_of(self.pid("proxy-1")).split(b"\0")
        return Path(os.fsdecode(words[words.index(b"--tree") + 1]))


@contextmanager
def role(*words: str | Path) -> Iterator[str]:
    """A part that runs by itself, such as ``gateway --port 0``; where it answers, until the end of the `with` block."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "shoal", *map(str, words), "--ready-fd", str(writer)]
    process = subprocess.Popen(command, pass_fds=[writer], env=clean({}), stdout=subprocess.DEVNULL)
    os.close(writer)
    try:
        readable, _, _ = select.select([reader], [], [], PATIENCE)
        line = os.read(reader, 65536) if readable else b""
        assert line, f"{words} is not ready"
        yield str(json.loads(line)["url"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        os.close(reader)
        process.kill()
        process.wait()


async def until(what: Callable[[], bool]) -> None:
    """Wait for something that real processes bring about."""
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.02)


class Steady:
    """Fifty requests in a second, open loop, over connections that are kept; every answer of the model `Who` is read.

    A caller whose connection breaks before its answer has come makes another and asks again: so does any client when
    the gateway that it talks to dies. How often that was is counted.

    Args:
        node: whom to call.
        model: the model's name.
        callers: connections.

    Attributes:
        answered: requests that were answered well.
        broken: connections that ended while their first answer was due.
        stale: connections that ended while a later one was: the other side may have closed them just before they were
            used again, so that any client asks once more.
        stopping: the node is to end: that nobody listens any more is no failure.
        failures: everything else that was not an answer.
        pids: workers that have answered since it was cleared.
    """

    def __init__(self, node: RunningNode, model: str, callers: int = 8) -> None:
        self._node = node
        self._model = model
        self._free = asyncio.Semaphore(callers)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._asked = 0
        self._over = asyncio.Event()
        self.answered = self.broken = self.stale = 0
        self.stopping = False
        self.failures: list[str] = []
        self.pids: set[int] = set()

    async def __aenter__(self) -> Steady:
        self._pace = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._over.set()
        await self._pace
        for _, writer in self._idle:
            writer.close()

    async def more(self, count: int = 50) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self._over.is_set():
                await self._free.acquire()
                group.create_task(self._ask(f"{self._asked} slow{BUSY}"))
                self._asked += 1
                await asyncio.sleep(SPACING)

    async def _ask(self, text: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._over.is_set() and not await self._attempt(text):
                    pass
        except ConnectionRefusedError as error:
            self._over.set() if self.stopping else self.failures.append(f"{text}: {error!r}")
        except (OSError, TimeoutError) as error:
            self.failures.append(f"{text}: {error!r}")
        finally:
            self._free.release()

    async def _attempt(self, text: str) -> bool:
        """Whether an answer came; False: the connection broke."""
        body = json.dumps({"inputs": [text]}).encode()
        kept = self._kept()
        reader, writer = kept or await asyncio.open_connection("127.0.0.1", self._node.port)
        try:
            writer.write(
                b"POST /v2/models/%b/predict_all HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
                % (self._model.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            answer = await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
            self.stale += kept is not None
            self.broken += kept is None
            return False
        if b"connection: close" in head.lower():
            writer.close()
        else:
            self._idle.append((reader, writer))
        self._judge(text, head, answer)
        return True

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection that can be used again, if there is one."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    def _judge(self, text: str, head: bytes, answer: bytes) -> None:
        status = head[9:12]
        pid, _, said = json.loads(answer)["outputs"][0].partition(":") if status == b"200" else ("", "", "")
        if said == text:
            self.answered += 1
            self.pids.add(int(pid))
        else:
            self.failures.append(f"{text}: {head[:40]!r} {answer[:200]!r}")
