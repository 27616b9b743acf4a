"""A process of the tree, kept running: started again when it ends, with a back-off, until it is stopped.

One that is there but does not turn any more is as bad as dead, and worse for those whose connections it has: it is
killed. Its silence is counted in looks, not in seconds, so that it is not blamed for what this process has slept
through.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError, ShoalError
from shoal.core.tasks import Tasks
from shoal.node.tree.child import Child, Command, End, Told
from shoal.serving.pool.supervisor import Supervisor

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SILENT = 15
"""Looks without a word from it after which a process counts as hung."""
WRONG = 2
"""The exit code of a process whose settings or files are wrong: to start it again is of no use."""


class Kept:
    """See the module.

    Args:
        name: such as ``proxy-1``.
        command: how it is started.
        environment: all variables that it sees.
        clock: monotonic seconds.
        chance: numbers in [0, 1), for the jitter.
        look_seconds: between two looks.

    Attributes:
        told: what it said when it was ready the last time.
        ready: whether it is ready now.
        starts: how many times it was started.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Clock = monotonic,
        chance: Callable[[], float] = random.random,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self.name = name
        self.told: Told = {}
        self.ready = False
        self.starts = 0
        self._command = command
        self._environment = environment
        self._clock = clock
        self._look_seconds = look_seconds
        self._silent = 0
        self._supervisor = Supervisor(chance)
        self._tasks = Tasks()
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._child = self._new_child()
        self._end: End | None = None

    def start(self) -> None:
        """Keep it running from now on."""
        self._running = self._tasks.start(f"keep {self.name}", self._keep_running())
        self._tasks.start(f"watch {self.name}", self._watch())

    async def started(self) -> None:
        """Return when it was ready for the first time.

        Raises:
            ConfigError: its settings or files are wrong.
            ShoalError: it ends again and again.
        """
        await self._settled.wait()
        if not self.told:
            end = self._end or End(None, "it was stopped")
            kind = ConfigError if end.code == WRONG else ShoalError
            raise kind(end.message if end.code == WRONG else f"{self.name} did not start: {end.message}", hint=end.hint)

    async def stop(self, grace: float) -> bool:
        """Ask it to end, kill it after `grace` seconds; whether it finished all that it had accepted."""
        self._stopping.set()
        if self._running is None:
            return True
        self._child.terminate()
        await asyncio.wait((self._running,), timeout=grace)
        whole = self._running.done()
        if not whole:
            logger.error("%s has not ended within %.0f s and is killed", self.name, grace)
            self._child.kill()
            await asyncio.wait((self._running,))
        return whole and (not self.ready or self._end is None or self._end.code == 0)

    def kill(self) -> None:
        """End it at once."""
        self._stopping.set()
        self._child.kill()

    async def _keep_running(self) -> None:
        while not self._stopping.is_set():
            self.starts += 1
            self._child = self._new_child()
            self._end = end = await self._child.run(self._command, self._environment)
            if self._stopping.is_set():
                break
            self.ready = False
            delay = self._supervisor.died(self._clock())
            if not self.told and (end.code == WRONG or self._supervisor.failed):
                break
            logger.warning("%s ended; starting it again in %.1f s", self.name, delay, extra={"reason": end.message})
            await self._pause(delay)
        self._settled.set()

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            await self._pause(self._look_seconds)
            self._silent += 1
            if self.ready and self._silent > SILENT and not self._stopping.is_set():
                logger.error("%s does not turn any more and is killed", self.name)
                self._silent = 0
                self._child.kill()

    def _new_child(self) -> Child:
        return Child(self.name, self._on_ready, self._on_beat)

    def _on_beat(self) -> None:
        self._silent = 0

    async def _pause(self, seconds: float) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((stopping,), timeout=seconds)
        finally:
            stopping.cancel()

    def _on_ready(self, told: Told) -> None:
        self.told, self.ready, self._silent = told, True, 0
        self._supervisor.ready(self._clock())
        self._settled.set()
