"""Metrics of a whole tree, wherever they are asked for: each process tells its own on a Unix socket, and who is asked
asks all.

There is no protocol: who connects is told the text, then the connection ends. A process that does not answer in time is
left out; `shoal_process_up` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from shoal.core.tasks import Tasks
from shoal.monitor.exposition import CONTENT_TYPE
from shoal.monitor.merging import merged
from shoal.node.tree.plan import Membership
from shoal.serving.gateway.endpoints.rest import Tell

SECONDS = 1.0
"""How long a process may take to tell its metrics."""
MOST_BYTES = 256 * 1024 * 1024
SUFFIX = ".sock"

Own = Callable[[], tuple[bytes, bytes]]
"""A process's own metrics as text, and the content type."""


class Teller:
    """Tells the metrics of this process to the others of its tree.

    Args:
        member: who this process is.
        own: its metrics.
    """

    def __init__(self, member: Membership, own: Own) -> None:
        self._path = member.metrics
        self._own = own
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Tell from now on."""
        with contextlib.suppress(FileNotFoundError):  # of the one before us, if that was killed
            self._path.unlink()
        self._server = await asyncio.start_unix_server(self._tell, self._path)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Tell no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            try:
                writer.write(self._own()[0])
                await writer.drain()
            finally:
                writer.close()
                await writer.wait_closed()


class TreeMetrics:
    """The metrics of all processes of a tree.

    Args:
        member: who this process is.
        own: its metrics.
    """

    def __init__(self, member: Membership, own: Own) -> None:
        self._member = member
        self._own = own
        self._tasks = Tasks()

    def expose(self, tell: Tell) -> None:
        """See `rest.Expose`: tell them once the others have answered."""
        self._tasks.start("ask for metrics", self._gather(tell))

    async def close(self) -> None:
        """Ask no more."""
        await self._tasks.close()

    async def _gather(self, tell: Tell) -> None:
        paths = [path for path in self._member.metrics.parent.glob(f"*{SUFFIX}") if path.stem != self._member.name]
        texts = dict(zip((path.stem for path in paths), await asyncio.gather(*map(_asked, paths)), strict=True))
        texts[self._member.name] = self._own()[0]
        told = {name: text for name, text in sorted(texts.items()) if text}
        tell(merged(told) + _up(texts.keys(), told.keys()), CONTENT_TYPE)


async def _asked(path: Path) -> bytes:
    """What a process tells; nothing if it does not answer."""
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(os.fspath(path), limit=MOST_BYTES)
            try:
                return await reader.read()
            finally:
                writer.close()
    return b""


def _up(names: Iterable[str], told: Iterable[str]) -> bytes:
    head = "# HELP shoal_process_up Whether a process of this node told its metrics.\n# TYPE shoal_process_up gauge\n"
    alive = set(told)
    lines = (f'shoal_process_up{{process="{name}"}} {float(name in alive)}\n' for name in sorted(names))
    return (head + "".join(lines)).encode()
