"""All workers of one model version.

Each place holds one worker and is kept by one task (`keeper`). There are `limits.workers` places at first; `resize`
changes that while calls go on: new workers take jobs as they come up, a few at a time; those that go finish what they
have. The pool takes jobs while it has free slots, and tells its user when there is room again, and when it fails or
recovers.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
from collections.abc import Callable
from functools import partial

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotReady
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.pool.alone import MODEL, describe, start_with
from shoal.serving.pool.confining.confiner import Confiner
from shoal.serving.pool.confining.needs import needs_of
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.keeper import Keeper
from shoal.serving.pool.lending import Lend, Loan
from shoal.serving.pool.member import Hooks, Member, WorkerDied
from shoal.serving.pool.processes.cgroup import remove_stale
from shoal.serving.pool.processes.environment import worker_environment
from shoal.serving.pool.processes.interpreters import worker_command
from shoal.serving.pool.processes.process import Launch
from shoal.serving.pool.spare import Spare
from shoal.serving.pool.supervisor import WorkerState

logger = logging.getLogger(__name__)

DEPTH = 2
"""Batches that a worker may have: one at work, and one in its socket for the moment when that is done."""
STARTS_AT_ONCE = 4
"""Workers that are started at the same time; more would only make each of them late, and those that serve slow."""


def _nothing() -> None:
    return


class Pool:
    """See the module.

    Args:
        spec: the model version.
        clock: monotonic seconds.
        command: how a worker is started; None: with the interpreter that the spec names.
        lend: gives each worker what only one can have (accelerators); None: there is nothing to give.
        confiner: confines the workers; None: they are not.

    Attributes:
        free: batches that may be sent now.
        on_room: called when `free` may have grown.
        on_change: called when `failure` or the number of ready workers has changed.
        on_death: called with the reason label of each death that nobody asked for.
        loaded: what the first worker said of the model.
        failure: why no worker can be kept up, or "".
        spare: the quarantine worker.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        clock: Clock = monotonic,
        command: tuple[str, ...] | None = None,
        lend: Lend | None = None,
        confiner: Confiner | None = None,
    ) -> None:
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
            model=spec.name,
            environment=environment,
            memory_bytes=spec.limits.memory_bytes,
            cpu=spec.limits.cpu,
            command=command or worker_command(spec.python),
            confine=None if confiner is None else partial(confiner.cell, needs_of(spec)),
        )
        self._confiner = confiner
        self._lend = lend
        self._loans: dict[Member, Loan] = {}
        self.spare = Spare(spec, self._make, lambda reason: self.on_death(reason))
        self._hooks = Hooks(on_room=self._room, on_end=self._ended)
        self._seconds = spec.limits.execution
        self._starting = asyncio.Semaphore(STARTS_AT_ONCE)
        self._places: list[tuple[Keeper, asyncio.Task[None]]] = []

    turn = 0.0
    """Nobody else has jobs in these workers."""

    @property
    def ready(self) -> int:
        """Workers that take jobs."""
        return sum(member.state is WorkerState.READY for member in self.members)

    @property
    def wanted(self) -> int:
        """Workers that there should be."""
        return len(self._places)

    @property
    def ahead(self) -> int:
        """Rows that are running in front of the next job; 0 if a worker is idle."""
        jobs = [each.jobs for each in self.members if each.state is WorkerState.READY and len(each.jobs) < DEPTH]
        return min([waiting[0].job.rows if waiting else 0 for waiting in jobs], default=0)

    async def start(self, *, all_ready: bool = False) -> Loaded:
        """Start the first worker, and the others after it; return when the first is ready.

        Args:
            all_ready: return only when each of them is, as a change does that must not leave less than there was.

        Raises:
            ShoalError: the model cannot be loaded.
        """
        if self.spec.limits.memory_bytes is not None or self.spec.limits.cpu is not None:
            remove_stale()
        first = self._keeper()
        first.member = await self._first(first)
        assert self.loaded is not None
        self._keep(first)
        others = [self._keeper() for _ in range(1, self.spec.limits.workers)]
        if all_ready:
            await self._start_all(others)
        for keeper in others:
            self._keep(keeper)
        return self.loaded

    async def _start_all(self, keepers: list[Keeper]) -> None:
        """The first that cannot be started ends it: the pool is then to be stopped."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._first(keeper)) for keeper in keepers]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        for keeper, task in zip(keepers, tasks, strict=True):
            keeper.member = task.result()

    def resize(self, workers: int) -> None:
        """Have so many workers from now on: new ones take jobs when they are ready, the newest ones go first.

        Args:
            workers: at least 1.
        """
        while len(self._places) < workers:
            self._keep(self._keeper())
        while len(self._places) > max(workers, 1):
            keeper, task = self._places.pop()
            task.cancel()
            if keeper.member is not None:
                keeper.member.retire()
        self.on_change()

    def processes(self) -> list[int]:
        """The process ids of its workers."""
        return [member.process.pid for member in self.members if member.process is not None]

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        facts = {"workers": self.wanted, "workers_ready": self.ready, "processes": self.processes()}
        return facts if self._confiner is None else {**facts, "confinement": self._confiner.explain()}

    def send(self, job: Job) -> None:
        """Give the job to the worker with the least to do; `free` must not be 0."""
        chosen: Member | None = None
        for member in self.members:
            if member.state is WorkerState.READY and (chosen is None or len(member.jobs) < len(chosen.jobs)):
                chosen = member
        assert chosen is not None
        self.free -= 1
        chosen.send(job, MODEL, self._seconds)

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
        if self._lend is None:
            return self._member(self._launch, hooks)
        loan = self._lend()

        def ended(member: Member, reason: str) -> None:
            self._give_back(member)
            hooks.on_end(member, reason)

        launch = dataclasses.replace(self._launch, environment={**self._launch.environment, **loan.variables})
        member = self._member(launch, Hooks(on_room=hooks.on_room, on_end=ended))
        self._loans[member] = loan
        return member

    def _member(self, launch: Launch, hooks: Hooks) -> Member:
        return Member(launch, hooks, self._clock, max_requests=self.spec.limits.max_requests)

    def _give_back(self, member: Member) -> None:
        """A worker is no more: what it was lent is free for the next one."""
        if (loan := self._loans.pop(member, None)) is not None:
            loan.give_back()

    def _keeper(self) -> Keeper:
        return Keeper(self.spec.name, self._raise, self._failed, self._recovered, self._clock)

    def _keep(self, keeper: Keeper) -> None:
        name = f"worker {len(self._places)} of {self.spec.name}"
        self._places.append((keeper, self._tasks.start(name, keeper.run())))

    async def _first(self, keeper: Keeper) -> Member:
        """The first worker of a place; a model that cannot be loaded is not tried again."""
        supervisor = keeper.supervisor
        while True:
            try:
                return await self._raise(None)
            except WorkerDied as error:
                delay = supervisor.died(self._clock())
                if supervisor.failed:
                    hint = "its last words are in the log"
                    raise NotReady(f"{describe(error)}, {supervisor.load_deaths} times in a row", hint=hint) from error
            await asyncio.sleep(delay)

    async def _raise(self, before: Member | None) -> Member:
        """A worker that is ready."""
        async with self._starting:
            member = self._make(self._hooks)
            self.members.append(member)
            try:
                self.loaded = await start_with(member, self.spec)
            except BaseException:
                if member.process is None:
                    self.members.remove(member)
                    self._give_back(member)
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
