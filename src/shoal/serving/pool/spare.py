"""The quarantine worker: one worker aside from the others, started when first needed, let go when idle.

It takes one job at a time, so there is never a doubt about who killed it, and it runs at low priority. It is started
again after a death: how much of that is allowed is for the caller to say. One that dies before it has the job may have
been killed by chance, so it is started again for as long as somebody waits for the job's answer.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable

from shoal.core.call import State
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ShoalError
from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.pool.alone import MODEL, describe, start_with
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.pool.member import Hooks, Member, WorkerDied
from shoal.serving.pool.supervisor import WorkerState

logger = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
"""How long it is kept without work."""
STARTS = 5
"""How often it is started at once for a job, if it dies before it is ready; after that, with pauses."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between the starts that follow; each pause is twice the one before."""
NOT_STARTED = "not_started"
"""Label of the loss of a job for which no worker could be had."""


def pause_after(starts: int) -> float:
    """Seconds until the next start, when so many have failed."""
    return 0.0 if starts < STARTS else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(starts - STARTS, 60))


def _refuse(hooks: Hooks) -> Member:
    raise RuntimeError("the quarantine worker was stopped")


def unheard(reason: str) -> None:
    """Nobody listens."""


class Spare:
    """See the module.

    Args:
        spec: the model version.
        make: makes a worker that is not started yet.
        on_death: told the reason label of each death that nobody asked for.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        spec: ModelSpec,
        make: Callable[[Hooks], Member],
        on_death: Callable[[str], None],
        clock: Clock = monotonic,
    ) -> None:
        self._spec = spec
        self._make = make
        self._on_death = on_death
        self._clock = clock
        self._tasks = Tasks()
        self._member: Member | None = None
        self._waiting: Job | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def free(self) -> int:
        """1 if it can be given a job, else 0."""
        busy = self._stopped or self._waiting is not None or (self._member is not None and bool(self._member.jobs))
        return 0 if busy else 1

    def send(self, job: Job) -> None:
        """Run the job, alone. It must be free."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._member is not None and self._member.state is WorkerState.READY:
            self._send(self._member, job)
        else:
            self._waiting = job
            self._tasks.start("quarantine worker", self._start())

    def _send(self, member: Member, job: Job) -> None:
        member.send(job, MODEL, self._spec.limits.execution)

    async def stop(self) -> None:
        """End it; a job in it is lost."""
        self._stopped = True
        if self._idle is not None:
            self._idle.cancel()
        member = self._member
        await self._tasks.close()
        if member is not None and member.process is not None:
            member.stop()
            await member.finish()
        self._lose_waiting()
        self._make, self._on_death = _refuse, unheard

    async def _start(self) -> None:
        member = await self._raise()
        if member is None:
            self._lose_waiting()
            return
        assert member.process is not None
        member.process.lower_priority()
        job, self._waiting = self._waiting, None
        if job is not None:
            self._send(member, job)
        await member.finish()

    async def _raise(self) -> Member | None:
        """A worker that is ready; None: the model cannot be loaded, or nobody waits any more."""
        for starts in itertools.count(1):
            member = self._member = self._make(Hooks(on_room=self._rest, on_end=self._ended))
            try:
                await start_with(member, self._spec)
            except (ShoalError, WorkerDied) as error:
                logger.warning("no quarantine worker: %s", describe(error), extra={"model": self._spec.name})
                if member.process is not None:
                    await member.finish()
                if isinstance(error, ShoalError) or not self._wanted:
                    break
                await asyncio.sleep(pause_after(starts))
            else:
                return member
        return None

    @property
    def _wanted(self) -> bool:
        """Whether a call of the job that waits has no outcome yet, and time."""
        calls, now = [] if self._waiting is None else self._waiting.calls, self._clock()
        return any(call.state is not State.DONE and call.deadline > now for call in calls)

    def _lose_waiting(self) -> None:
        job, self._waiting = self._waiting, None
        if job is not None:
            job.owner.lost(job, Loss(NOT_STARTED, suspect=False))

    def _rest(self) -> None:
        if self._idle is None and self._member is not None and self.free:
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go)

    def _let_go(self) -> None:
        self._idle = None
        if self._member is not None and not self._member.jobs:
            self._member.retire()

    def _ended(self, member: Member, reason: str) -> None:
        self._member = None
        if not member.expected:
            self._on_death(reason)
