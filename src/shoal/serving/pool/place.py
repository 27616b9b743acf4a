"""One worker of a shared pool: its process, the models in it, and the loads that wait.

One task keeps a process up (`keeper`); another one loads, one model at a time, in the order in which they were asked
for. What has to go for that is decided in `core.placement.residency`, by what was measured. When the process dies all
that was in it is gone: jobs that were not at work go back to their queues, and whoever needs a model asks again. A
process that does not give memory back is replaced: the models are loaded into the next one first, so nobody notices.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable

from shoal.core.clock import Clock
from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.placement import residency
from shoal.core.placement.quantities import size
from shoal.core.placement.residents import Residents
from shoal.core.tasks import Tasks
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.keeper import Keeper
from shoal.serving.pool.lease import Lease, Stay
from shoal.serving.pool.line import Line
from shoal.serving.pool.member import START_SECONDS, Hooks, Member, WorkerDied
from shoal.serving.pool.seat import Seat
from shoal.serving.pool.sharing import Counters, SharedSettings
from shoal.serving.pool.supervisor import WorkerState

logger = logging.getLogger(__name__)

DEPTH = 2
"""Batches that a worker may have, of all models together: one at work, and one in its socket."""
SLACK = 64 * 1024 * 1024
"""Bytes above what its models were measured with that a worker may take before it counts as not giving memory back."""
CALM_SECONDS = 60.0
"""A worker is replaced for its memory at most so often."""
RETRY_SECONDS = 1.0
"""A load that waits until something is given back looks again after so many seconds at the latest."""

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
        self._queue: deque[Lease] = deque()
        self._wake = asyncio.Event()
        self._freed = asyncio.Event()
        self._changing = asyncio.Lock()
        self._loading: Lease | None = None
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
        self._tasks.start(f"loads of place {self.name} of pool {self._pool}", self._load_all())

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
        self._queue.append(lease)
        self._wake.set()
        return lease

    def room(self, seat: Seat) -> int:
        """Jobs that a resident model may send now; who may not is called when there is room."""
        return self.line.room(seat, self.slots())

    def slots(self) -> int:
        """Jobs that the worker would take now."""
        member = self.member
        return DEPTH - len(member.jobs) if member is not None and member.state is WorkerState.READY else 0

    def ahead(self, seat: Seat) -> int:
        """Rows that run in front of the next job; whoever waits for their end is called then."""
        member = self.member
        if member is None or not member.jobs:
            return 0
        self.line.join(seat)
        return member.jobs[0].job.rows

    def send(self, lease: Lease, job: Job) -> None:
        """Run a job of a resident model."""
        assert self.member is not None
        self.residents.take(lease.key)
        self.line.sent()
        self.member.send(job, lease.number, lease.seat.spec.limits.execution)

    def position(self, lease: Lease) -> int:
        """How many loads are in front of this one."""
        return self._queue.index(lease) + (self._loading is not None) if lease in self._queue else 0

    def release(self, lease: Lease, why: str = "stopped", reason: str = "its owner let go of it") -> None:
        """Let go of a model, after the jobs that were sent; nothing happens if it is gone already."""
        if lease.stay is Stay.GONE:
            return
        loaded = lease.stay is Stay.RESIDENT
        self._forget(lease)
        if loaded and self.member is not None:
            self._counters.evictions[why] += 1
            logger.info("%s let go of: %s", lease.key, reason, extra={"pool": self._pool, "why": why})
            self._tasks.start(f"unload of {lease.key}", self._unload(self.member, lease))

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
            async with self._changing:
                if before is not None:
                    await self._move(member)
                await member.open()
                self.member, self.base_bytes = member, hello.memory_bytes
        except BaseException as error:
            self._follow(member)
            member.stop() if isinstance(error, asyncio.CancelledError) else member.kill("load_failed")
            raise
        return member

    def _follow(self, member: Member) -> None:
        if member.process is not None and member not in self._unfinished and not member.ended.done():
            self._unfinished.add(member)
            self._tasks.start("end of a worker", self._finish(member))

    async def _move(self, member: Member) -> None:
        """Load what is resident into the next worker, too: what was used last first."""
        moved = []
        for resident in reversed(list(self.residents)):
            lease = self._keys.get(resident.key)
            if lease is not None:
                await self._load_again(member, lease)
                moved.append(lease)
        for lease in moved:
            if lease.stay is Stay.GONE:
                await member.unload(lease.number)
        self._counters.replaced += 1

    async def _load_again(self, member: Member, lease: Lease) -> None:
        seat = lease.seat
        try:
            await member.load(lease.number, seat.spec, seat.loaded)
        except WorkerDied as error:
            self._evict_from_next(lease, f"the next worker died while it was loaded ({error})")
            raise
        except ShoalError as error:
            self._evict_from_next(lease, f"the next worker could not load it: {error.message}")

    def _evict_from_next(self, lease: Lease, reason: str) -> None:
        if lease.stay is not Stay.GONE:
            self.evict(lease.key, "failed", reason)

    async def _finish(self, member: Member) -> None:
        await member.finish()
        self._unfinished.discard(member)

    def _up(self) -> None:
        self._wake.set()
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
        loading, self._loading = self._loading, None
        gone = list(self.leases.values())
        for lease in gone:
            self._forget(lease)
        self.residents = self._accounts()
        if loading is not None and not member.expected:
            loading.seat.load_killed(reason, alone=head is None)
        for lease in gone:
            lease.seat.bereaved(lease, reason)

    def _job_ended(self, number: int) -> None:
        lease = self.leases.get(number)
        if lease is not None:
            self.residents.give_back(lease.key, self._clock())
            self._freed.set()
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

    # Loads.

    async def _load_all(self) -> None:
        """Load what waits, one after the other, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and self.member is not None:
                async with self._changing:
                    if self._queue and (member := self.member) is not None:
                        await self._load(member, self._queue.popleft())

    async def _load(self, member: Member, lease: Lease) -> None:
        seat = lease.seat
        need = seat.expected_bytes()
        if not await self._make_room(lease, need):
            return
        lease.stay, self._loading = Stay.LOADING, lease
        self.residents.reserve(lease.key, need, self._clock(), pinned=seat.spec.pinned)
        try:
            loaded = await member.load(lease.number, seat.spec, seat.memory.loaded)
        except WorkerDied:
            return  # `_ended` has told everybody
        except ShoalError as error:
            self._failed(lease, error)
        else:
            await self._loaded(member, lease, loaded)
        finally:
            if self._loading is lease:
                self._loading = None

    async def _make_room(self, lease: Lease, need: int) -> bool:
        """Let go of what must go; False if the load is not to be, and whoever waits for it knows."""
        while lease.stay is Stay.WAITING:
            plan = residency.plan_load(self.residents, lease.key, need, self._clock())
            match plan:
                case residency.Load():
                    return True
                case residency.Evict(victims=victims, reason=reason):
                    for key in victims:
                        self.evict(key, "pressure", reason)
                case residency.Refuse(reason=reason, final=True):
                    self._refuse(lease, reason)
                case residency.Refuse(reason=reason):
                    logger.info("load waits: %s", reason, extra={"pool": self._pool})
                    await self._until_freed()
        return False

    async def _until_freed(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self._freed.wait()
        except TimeoutError:
            return

    async def _loaded(self, member: Member, lease: Lease, loaded: Loaded) -> None:
        self._counters.loads += 1
        self._counters.load_seconds += loaded.seconds
        if lease.stay is Stay.GONE:  # nobody wants it any more
            await self._unload(member, lease)
            return
        lease.stay = Stay.RESIDENT
        self.residents.loaded(lease.key, loaded.memory_bytes, self._clock())
        if (reason := self._too_large(lease, loaded.memory_bytes)) is not None:
            self.release(lease, "limit", reason)
            self._refuse(lease, reason)
            return
        lease.seat.arrived(lease, loaded)
        if (plan := residency.plan_fit(self.residents, self._clock())) is not None:
            for key in plan.victims:
                self.evict(key, "pressure", plan.reason)

    def _too_large(self, lease: Lease, measured: int) -> str | None:
        """Why a model that was loaded is not kept: it takes more than was thought, and more than it may."""
        own, most = lease.seat.spec.limits.memory_bytes, self._settings.memory_bytes
        if own is not None and measured > own:
            return f"{lease.key} took {size(measured)} when it was loaded, its limit is {size(own)}"
        if most is not None and measured > most:
            return f"{lease.key} took {size(measured)} when it was loaded, its worker has room for {size(most)}"
        return None

    def _refuse(self, lease: Lease, reason: str) -> None:
        self._counters.refused += 1
        self._forget(lease)
        lease.seat.failed(lease, NotReady(reason, hint="see `shoal why` for what is in the way"))

    def _failed(self, lease: Lease, error: ShoalError) -> None:
        self._counters.load_failures += 1
        if self._loading is lease:
            self._loading = None
        self._forget(lease)
        lease.seat.failed(lease, error)

    def _forget(self, lease: Lease) -> None:
        """It is not here any more, as far as anybody but the worker is concerned."""
        lease.stay = Stay.GONE
        self.leases.pop(lease.number, None)
        self._keys.pop(lease.key, None)
        self.residents.remove(lease.key)
        if lease in self._queue:
            self._queue.remove(lease)
        self.line.leave(lease.seat)
        self._freed.set()

    async def _unload(self, member: Member, lease: Lease) -> None:
        try:
            unloaded = await member.unload(lease.number)
        except WorkerDied:
            return
        self._counters.reclaimed_bytes += unloaded.reclaimed_bytes
        self._check_memory()
