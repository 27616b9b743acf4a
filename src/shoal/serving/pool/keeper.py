"""Keeps one place of a pool filled, for as long as its task runs.

Start a worker, wait for its end, start the next one after the back-off that the supervisor says. One that is worn is
replaced make-before-break: the old one serves until the new one is ready.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from shoal.core.clock import Clock
from shoal.core.errors import ShoalError
from shoal.serving.pool.alone import describe
from shoal.serving.pool.member import Member, WorkerDied
from shoal.serving.pool.supervisor import Supervisor, WorkerState

logger = logging.getLogger(__name__)

Start = Callable[["Member | None"], Awaitable[Member]]
"""Starts a worker until it is ready, and takes over what the worker before it had (None: there is none)."""


class Keeper:
    """See the module.

    Args:
        name: of the pool, for logs.
        start: see `Start`; raises `WorkerDied` or a `ShoalError`.
        on_failing: told why when no worker comes up, though many were tried.
        on_up: called when a worker is ready.
        clock: monotonic seconds.

    Attributes:
        member: the worker that is there now.
        supervisor: remembers the deaths.
    """

    def __init__(
        self, name: str, start: Start, on_failing: Callable[[str], None], on_up: Callable[[], None], clock: Clock
    ) -> None:
        self.name = name
        self.member: Member | None = None
        self.supervisor = Supervisor(random.random)
        self._start = start
        self._on_failing = on_failing
        self._on_up = on_up
        self._clock = clock

    async def run(self) -> None:
        """Keep the place filled, for ever."""
        while True:
            if self.member is None:
                self.member = await self._try(None, self.supervisor)
            else:
                self.supervisor.ready(self._clock())
                self._on_up()
                self.member = await self._until_gone(self.member)

    async def _try(self, before: Member | None, supervisor: Supervisor) -> Member | None:
        try:
            return await self._start(before)
        except (WorkerDied, ShoalError) as error:
            delay = supervisor.died(self._clock())
            logger.error("worker of %s not ready: %s", self.name, describe(error), extra={"next": delay})
            if supervisor.failed:
                self._on_failing(describe(error))
        await asyncio.sleep(delay)
        return None

    async def _until_gone(self, member: Member) -> Member | None:
        """Wait until the worker is dead or worn; the worker that comes after it, if there is one already."""
        end, worn = asyncio.shield(member.ended), asyncio.ensure_future(member.worn.wait())
        try:
            await asyncio.wait((end, worn), return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                return await self._replace(member)
        finally:
            worn.cancel()
            end.cancel()
        delay = self.supervisor.died(self._clock())
        logger.warning("worker of %s died: %s", self.name, end.result(), extra={"next": delay})
        await asyncio.sleep(delay)
        return None

    async def _replace(self, member: Member) -> Member | None:
        logger.info("worker of %s is worn, replaced", self.name)
        successor, supervisor = None, Supervisor(random.random)
        while successor is None and member.state is WorkerState.READY:
            successor = await self._try(member, supervisor)
        member.retire()
        return successor
