"""One worker of a shared pool: its process, and the models in it.

One task keeps a process up (`keeper`), another one loads what is asked for (`loads`). When the process dies all that
was in it is gone: jobs that were not at work go back to their queues, and whoever needs a model asks again. A process
that does not give memory back is replaced: the models are loaded into the next one first, so nobody notices.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator

from shoal.core.clock import Clock
from shoal.core.errors import NotReady, ShoalError
from shoal.core.placement import residency
from shoal.core.placement.residents import Residents
from shoal.core.tasks import Tasks
from shoal.serving.pool.alone import START_SECONDS
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.keeper import Keeper
from shoal.serving.pool.member import Hooks, Member, WorkerDied
from shoal.serving.pool.shared.lease import Lease, Stay
from shoal.serving.pool.shared.line import Line, Pace
from shoal.serving.pool.shared.loads import Loads
from shoal.serving.pool.shared.moving import move
from shoal.serving.pool.shared.seat import Seat
from shoal.serving.pool.shared.sharing import Counters, SharedSettings
from shoal.serving.pool.supervisor import WorkerState

logger = logging.getLogger(__name__)

DEPTH = 2
"""Batches that a worker may have, of all models together: one at work, and one in its socket."""
SLACK = 64 * 1024 * 1024
"""Bytes above what its models were measured with that a worker may take before it counts as not giving memory back."""
CALM_SECONDS = 60.0
"""A worker is replaced for its memory at most so often."""

_READY = WorkerState.READY
MakeMember = Callable[[Hooks], Member]


class Place:
    """See the module.

    Args:
        name: of the place, for choosing among them.
        pool: the pool's name, for logs.
        settings: of the pool.
        counters: of the pool.
        make: makes a worker that is not started yet.
        on_up: called when jobs can be sent.
        on_failing: told why no worker can be kept up.
        clock: monotonic seconds.

    Attributes:
        member: the worker, while it takes jobs.
        base_bytes: what it takes without any model.
        residents: the accounts of what is in it.
        leases: what is in it, or on its way there, by number.
        changing: held while something is loaded, or the worker is replaced.
    """

    def __init__(
        self,
        name: str,
        *,
        pool: str,
        settings: SharedSettings,
        counters: Counters,
        make: MakeMember,
        on_up: Callable[[], None],
        on_failing: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.name = name
        self.member: Member | None = None
        self.base_bytes = 0
        self.leases: dict[int, Lease] = {}
        self.line = Line()
        self.pace = Pace()
        self._pool = pool
        self._settings = settings
        self._counters = counters
        self._make = make
        self._on_up = on_up
        self._clock = clock
        self._tasks = Tasks()
        self._unfinished: set[Member] = set()
        self._hooks = Hooks(on_room=self.serve, on_end=self._ended, on_job_end=self._job_ended)
        self._keeper = Keeper(f"pool {pool}", self._start, on_failing, self._up, clock)
        self._numbers = itertools.count(1)
        self._keys: dict[str, Lease] = {}
        self.changing = asyncio.Lock()
        self._loads = Loads(self, pool, settings, counters, clock)
        self._calm_until = 0.0
        self.residents = self._accounts()

    def _accounts(self) -> Residents:
        settings = self._settings
        return Residents(
            max_bytes=settings.memory_bytes, max_count=settings.max_models, min_residence=settings.min_residence
        )

    def start(self) -> None:
        """Keep a worker up from now on."""
        self._tasks.start(f"place {self.name} of pool {self._pool}", self._keeper.run())
        self._tasks.start(f"loads of place {self.name} of pool {self._pool}", self._loads.run())

    async def stop(self) -> None:
        """End the worker; what it has is lost."""
        await self._tasks.close()
        for member in list(self._unfinished):
            member.stop()
        await asyncio.gather(*(self._finish(member) for member in list(self._unfinished)))

    # What seats ask for.

    def admit(self, seat: Seat, job: Job | None) -> Lease:
        """Have a model loaded after those that wait already; the job is sent to it then."""
        number = next(self._numbers)
        key = seat.label if seat.label not in self._keys else f"{seat.label} ({number})"
        lease = Lease(seat, self, number, key)
        lease.held = job
        self.leases[number] = self._keys[key] = lease
        self._loads.add(lease)
        return lease

    def room(self, seat: Seat) -> int:
        """Jobs that a resident model may send now; who may not is called when there is room."""
        member, line = self.member, self.line
        slots = DEPTH - len(member.jobs) if member is not None and member.state is _READY else 0
        return slots if slots > 0 and line.turn is None else line.room(seat, slots)

    def slots(self) -> int:
        """Jobs that the worker would take now."""
        member = self.member
        return DEPTH - len(member.jobs) if member is not None and member.state is _READY else 0

    def ahead(self, seat: Seat) -> int:
        """Rows of a seat's own that run in front of its next job; whoever waits for their end is called then.

        What another model runs says nothing about how many of this one are worth a job: a model that is called now and
        then would wait for ever behind the large batches of a busy one.
        """
        head = self.member.jobs[0] if self.member is not None and self.member.jobs else None
        lease = self.leases.get(head.model) if head is not None else None
        if head is None or lease is None or lease.seat is not seat:
            return 0
        self.line.join(seat)
        return head.job.rows

    @property
    def turn(self) -> float:
        """Seconds until whoever asks now has his turn: what is under way, and one job of each that is in the line."""
        member = self.member
        return 0.0 if member is None else (len(member.jobs) + len(self.line)) * self.pace.seconds

    def send(self, lease: Lease, job: Job) -> None:
        """Run a job of a resident model."""
        assert self.member is not None
        self.residents.take(lease.key)
        self.line.sent()
        self.member.send(job, lease.number, lease.seat.seconds)

    def position(self, lease: Lease) -> int:
        """How many loads are in front of this one."""
        return self._loads.position(lease)

    def release(self, lease: Lease, why: str = "stopped", reason: str = "its owner let go of it") -> None:
        """Let go of a model, after the jobs that were sent; nothing happens if it is gone already."""
        if lease.stay is Stay.GONE:
            return
        loaded = lease.stay is Stay.RESIDENT
        self.forget(lease)
        if loaded and self.member is not None:
            self._counters.evictions[why] += 1
            logger.info("%s let go of: %s", lease.key, reason, extra={"pool": self._pool, "why": why})
            self._tasks.start(f"unload of {lease.key}", self.unload(self.member, lease))

    def evict(self, key: str, why: str, reason: str) -> None:
        """Let go of a model that nobody uses just now, and tell its owner."""
        lease = self._keys[key]
        self.release(lease, why, reason)
        lease.seat.evicted(lease, reason)

    def evict_idle(self, now: float, seconds: float) -> None:
        """Let go of what nobody has used for so long."""
        for key in residency.idle(self.residents, now, seconds):
            self.evict(key, "idle", f"nobody used it for {seconds:g} seconds")

    # The worker.

    async def _start(self, before: Member | None) -> Member:
        """A worker that is ready; it has what the one before it had."""
        member = self._make(self._hooks)
        try:
            hello = await member.start(START_SECONDS)
            self._follow(member)
            async with self.changing:
                if before is not None:
                    await move(self._resident_leases(), member, self.evict)
                    self._counters.replaced += 1
                await member.open()
                self.member, self.base_bytes = member, hello.memory_bytes
        except asyncio.CancelledError:
            self._follow(member)
            member.stop()
            raise
        except (WorkerDied, ShoalError) as error:
            self._follow(member)
            member.kill("not_started")
            said = f"a worker died while it started ({error})" if isinstance(error, WorkerDied) else error.message
            raise NotReady(said) from error
        return member

    def _resident_leases(self) -> Iterator[Lease]:
        """What was used last first; what goes while others are loaded is passed over."""
        for resident in reversed(list(self.residents)):
            lease = self._keys.get(resident.key)
            if lease is not None:
                yield lease

    def _follow(self, member: Member) -> None:
        if member.process is not None and member not in self._unfinished:
            self._unfinished.add(member)
            self._tasks.start("end of a worker", self._finish(member))

    async def _finish(self, member: Member) -> None:
        await member.finish()
        self._unfinished.discard(member)

    def _up(self) -> None:
        self._loads.wake()
        self._on_up()

    def _ended(self, member: Member, reason: str) -> None:
        if not member.expected:
            self._counters.deaths[reason] += 1
        if member is not self.member:
            return
        self.member = None
        head = self.leases.get(member.jobs[0].model) if member.jobs else None
        if head is not None and not member.expected:
            head.seat.on_death(reason)
        loading = self._loads.interrupted()
        gone = list(self.leases.values())
        for lease in gone:
            self.forget(lease)
        self.residents = self._accounts()
        if loading is not None and not member.expected:
            loading.seat.load_killed(reason, alone=head is None)
        for lease in gone:
            lease.seat.bereaved(lease, reason)

    def _job_ended(self, number: int) -> None:
        self.pace.ended(self._clock(), busy=self.member is not None and len(self.member.jobs) > 0)
        lease = self.leases.get(number)
        if lease is not None:
            self.residents.give_back(lease.key, self._clock())
            self._loads.freed()
        if self._settings.memory_bytes is not None:
            self._check_memory()

    def serve(self) -> None:
        """There is room: whoever waits for it may send."""
        if len(self.line):
            self.line.serve(self.slots)

    def _check_memory(self) -> None:
        """Does it take more than it should, though its models do not?"""
        member, most = self.member, self._settings.memory_bytes
        if member is None or most is None or member.worn.is_set():
            return
        taken = member.memory_bytes - self.base_bytes
        if taken > max(most, self.residents.bytes) + SLACK and self._clock() >= self._calm_until:
            self._calm_until = self._clock() + CALM_SECONDS
            fields = {"pool": self._pool, "taken": taken, "models": self.residents.bytes}
            logger.warning("worker of pool %s does not give memory back", self._pool, extra=fields)
            member.worn.set()

    def forget(self, lease: Lease) -> None:
        """It is not here any more, as far as anybody but the worker is concerned."""
        lease.stay = Stay.GONE
        self.leases.pop(lease.number, None)
        self._keys.pop(lease.key, None)
        self.residents.remove(lease.key)
        self._loads.forget(lease)
        self.line.leave(lease.seat)

    async def unload(self, member: Member, lease: Lease) -> None:
        """Have a worker let go of a model that is forgotten already, and count what came back."""
        try:
            unloaded = await member.unload(lease.number)
        except WorkerDied:
            return
        self._counters.reclaimed_bytes += unloaded.reclaimed_bytes
        self._check_memory()
