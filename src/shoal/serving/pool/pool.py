"""All workers of one model version.

Each of `limits.workers` places holds one worker and is kept by one task: start it, wait for its end, start the next
one after the back-off that the supervisor says. A worker that is worn (by requests or memory) is replaced make-
before-break. The pool takes jobs while it has free slots, and tells its user when there is room again, and when it
fails or recovers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.pool.cgroup import remove_stale
from shoal.serving.pool.environment import worker_environment
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.member import Hooks, Member, WorkerDied, describe
from shoal.serving.pool.process import COMMAND, Launch
from shoal.serving.pool.spare import Spare
from shoal.serving.pool.supervisor import Supervisor, WorkerState

logger = logging.getLogger(__name__)

DEPTH = 2
"""Batches that a worker may have: one at work, and one in its socket for the moment when that is done."""


def _nothing() -> None:
    return


class Pool:
    """See the module.

    Args:
        spec: the model version.
        clock: monotonic seconds.
        command: how a worker is started.

    Attributes:
        free: batches that may be sent now.
        on_room: called when `free` may have grown.
        on_change: called when `failure` or the number of ready workers has changed.
        on_death: called with the reason label of each death that nobody asked for.
        loaded: what the first worker said of the model.
        failure: why no worker can be kept up, or "".
        spare: the quarantine worker.
    """

    def __init__(self, spec: ModelSpec, *, clock: Clock = monotonic, command: tuple[str, ...] = COMMAND) -> None:
        self.spec = spec
        self.free = 0
        self.on_room: Callable[[], None] = _nothing
        self.on_change: Callable[[], None] = _nothing
        self.on_death: Callable[[str], None] = lambda reason: None
        self.loaded: Loaded | None = None
        self.failure = ""
        self.members: list[Member] = []
        self._clock = clock
        self._tasks = Tasks()
        self._unfinished: set[Member] = set()
        environment = worker_environment(os.environ, threads=spec.limits.threads, settings=spec.environment)
        self._launch = Launch(
            model=spec.name, environment=environment, memory_bytes=spec.limits.memory_bytes, command=command
        )
        self.spare = Spare(self._make, lambda reason: self.on_death(reason))
        self._hooks = Hooks(on_room=self._room, on_end=self._ended)

    @property
    def ready(self) -> int:
        """Workers that take jobs."""
        return sum(member.state is WorkerState.READY for member in self.members)

    @property
    def ahead(self) -> int:
        """Rows that are running in front of the next job; 0 if a worker is idle."""
        jobs = [each.jobs for each in self.members if each.state is WorkerState.READY and len(each.jobs) < DEPTH]
        return min([waiting[0][1].rows if waiting else 0 for waiting in jobs], default=0)

    async def start(self) -> Loaded:
        """Start the first worker, and the others after it; return when the first is ready.

        Raises:
            ShoalError: the model cannot be loaded.
        """
        if self.spec.limits.memory_bytes is not None:
            remove_stale()
        supervisor = Supervisor(random.random)
        first = await self._first(supervisor)
        assert self.loaded is not None
        for place in range(self.spec.limits.workers):
            keeper = self._keep(first, supervisor) if place == 0 else self._keep(None, Supervisor(random.random))
            self._tasks.start(f"worker {place} of {self.spec.name}", keeper)
        return self.loaded

    def send(self, job: Job) -> None:
        """Give the job to the worker with the least to do; `free` must not be 0."""
        chosen: Member | None = None
        for member in self.members:
            if member.state is WorkerState.READY and (chosen is None or len(member.jobs) < len(chosen.jobs)):
                chosen = member
        assert chosen is not None
        self.free -= 1
        chosen.send(job)

    async def drain(self) -> None:
        """Let the workers finish what they have, then stop."""
        await self._tasks.close()
        for member in list(self.members):
            member.retire()
        await asyncio.gather(*(self._finish(each) for each in self._unfinished if each.state is WorkerState.DRAINING))
        await self.stop()

    async def stop(self) -> None:
        """End all workers now; what they have is lost."""
        await self._tasks.close()
        await self.spare.stop()
        members = list(self._unfinished)
        for member in members:
            member.stop()
        await asyncio.gather(*(self._finish(member) for member in members))

    def _make(self, hooks: Hooks) -> Member:
        return Member(self.spec, self._launch, hooks, self._clock)

    async def _first(self, supervisor: Supervisor) -> Member:
        while True:
            try:
                return await self._raise()
            except WorkerDied as error:
                delay = supervisor.died(self._clock())
                if supervisor.failed:
                    hint = "its last words are in the log"
                    raise NotReady(f"{describe(error)}, {supervisor.load_deaths} times in a row", hint=hint) from error
            await asyncio.sleep(delay)

    async def _raise(self) -> Member:
        """A worker that is ready."""
        member = self._make(self._hooks)
        self.members.append(member)
        try:
            self.loaded = await member.start()
        except BaseException:
            if member.process is None:
                self.members.remove(member)
            raise
        finally:
            if member.process is not None:
                self._unfinished.add(member)
                self._tasks.start("end of a worker", self._finish(member))
        return member

    async def _finish(self, member: Member) -> str:
        reason = await member.finish()
        self._unfinished.discard(member)
        return reason

    async def _keep(self, member: Member | None, supervisor: Supervisor) -> None:
        """Keep one place filled, for ever."""
        while True:
            if member is None:
                member = await self._try(supervisor)
            else:
                supervisor.ready(self._clock())
                self._recovered()
                member = await self._until_gone(member, supervisor)

    async def _try(self, supervisor: Supervisor) -> Member | None:
        try:
            return await self._raise()
        except (WorkerDied, ShoalError) as error:
            delay = supervisor.died(self._clock())
            logger.error("worker of %s not ready: %s", self.spec.name, describe(error), extra={"next": delay})
            if supervisor.failed:
                self._failed(describe(error))
        await asyncio.sleep(delay)
        return None

    async def _until_gone(self, member: Member, supervisor: Supervisor) -> Member | None:
        """Wait until the worker is dead or worn; the worker that comes after it, if there is one already."""
        end, worn = asyncio.shield(member.ended), asyncio.ensure_future(member.worn.wait())
        try:
            await asyncio.wait((end, worn), return_when=asyncio.FIRST_COMPLETED)
            if not end.done():
                return await self._replace(member)
        finally:
            worn.cancel()
            end.cancel()
        delay = supervisor.died(self._clock())
        logger.warning("worker of %s died: %s", self.spec.name, end.result(), extra={"next": delay})
        await asyncio.sleep(delay)
        return None

    async def _replace(self, member: Member) -> Member | None:
        """Make before break: the old one serves until the new one is ready."""
        logger.info("worker of %s is worn, replaced", self.spec.name)
        successor, supervisor = None, Supervisor(random.random)
        while successor is None and member.state is WorkerState.READY:
            successor = await self._try(supervisor)
        member.retire()
        return successor

    def _count_free(self) -> None:
        self.free = sum(DEPTH - len(each.jobs) for each in self.members if each.state is WorkerState.READY)

    def _room(self) -> None:
        self._count_free()
        if self.free:
            self.on_room()

    def _ended(self, member: Member, reason: str) -> None:
        if member in self.members:
            self.members.remove(member)
        self._count_free()
        if not member.expected:
            self.on_death(reason)
        self.on_change()

    def _failed(self, why: str) -> None:
        if not self.ready and not self.failure:
            self.failure = why
            self.on_change()

    def _recovered(self) -> None:
        self.failure = ""
        self.on_change()
