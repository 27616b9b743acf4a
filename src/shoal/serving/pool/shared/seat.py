"""A model version in a shared pool, as its runner sees it: workers that load the model when it is first needed.

    cold ──first job──▶ loading ──▶ resident ──evicted, or the worker died──▶ cold
                           └──▶ failed ──back-off──▶ cold

While the seat is cold one job may be sent to it: that one waits for the load, and all others wait in their queue, with
their deadlines. A load that kills its worker is tried in a worker aside before it may touch a shared one again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.pool.alone import tried
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.member import Hooks, Member
from shoal.serving.pool.shared.arrivals import Arrivals
from shoal.serving.pool.shared.lease import Lease, Stay
from shoal.serving.pool.shared.remembered import Memory
from shoal.serving.pool.shared.sharing import label
from shoal.serving.pool.spare import Spare, unheard

if TYPE_CHECKING:
    from shoal.serving.pool.shared.pool import SharedPool

logger = logging.getLogger(__name__)

MOST_DEATHS = 3
"""Shared workers that may die of loads of one model, though it loads well alone."""
HARMLESS = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "hung_up", "protocol"})
"""Ends of a worker that say little about the model that was being loaded; the second one in a row does."""


def _nothing() -> None:
    return


class Seat:
    """See the module; implements `batching.workers.ModelWorkers`. Made by `SharedPool.seat`.

    Attributes:
        spec: the model version.
        seconds: how long a job of it may run.
        memory: what the pool remembers of it.
        on_evicted: told why, when the model is let go of and nothing of it is loaded any more.
    """

    def __init__(self, pool: SharedPool, spec: ModelSpec, memory: Memory) -> None:
        self.spec = spec
        self.label = label(spec)
        self.seconds = spec.limits.execution
        self.memory = memory
        self.on_room: Callable[[], None] = _nothing
        self.on_change: Callable[[], None] = _nothing
        self.on_death: Callable[[str], None] = unheard
        self.on_evicted: Callable[[str], None] = unheard
        self.loaded: Loaded | None = memory.loaded
        self.failure = ""
        self.spare = Spare(spec, self._make_alone, lambda reason: self.on_death(reason))
        self.leases: list[Lease] = []
        self._pool = pool
        self._replicas = max(spec.limits.workers, 1)
        self._only: Lease | None = None
        self._tasks = Tasks()
        self._trying = False
        self._stopped = False
        self._healing: asyncio.TimerHandle | None = None
        self._arrivals = Arrivals()

    # What the batcher and the runner ask for.

    @property
    def free(self) -> int:
        """Jobs that may be sent now; whoever is told 0 is called by `on_room`."""
        if (lease := self._only) is not None:
            return lease.place.room(self)
        if self.leases:
            return sum(each.place.room(self) for each in self.leases if each.stay is Stay.RESIDENT)
        if self._trying or self.failure or self._stopped:
            return 0
        return 1 if self._pool.has_place(self) else 0

    @property
    def ahead(self) -> int:
        """Rows that run in front of the next job; 0 if a worker is idle."""
        if (lease := self._only) is not None:
            return lease.place.ahead(self)
        return min((each.place.ahead(self) for each in self._resident() if each.place.slots() > 0), default=0)

    @property
    def turn(self) -> float:
        """Seconds until a job of it has its turn among all that share the worker; 0 while it is on its way there."""
        if (lease := self._only) is not None:
            return lease.place.turn
        return min((each.place.turn for each in self._resident()), default=0.0)

    @property
    def ready(self) -> int:
        """Workers that have the model; 1 if it is cold, as the first call brings it in."""
        return 0 if self.failure or self._stopped else max(1, len(self._resident()))

    def processes(self) -> list[int]:
        """None of the workers is its own."""
        return []

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        return {"workers": self._replicas, "workers_ready": self.ready, "seats": self._pool.explain(self.spec)}

    def send(self, job: Job) -> None:
        """Run the job where the model is, or load it for that; `free` must not be 0."""
        lease = self._only or self._least_busy()
        if lease is not None:
            lease.place.send(lease, job)
        else:
            self._move_in(job)

    def _least_busy(self) -> Lease | None:
        """Of the workers that have the model and room, the one with most of it."""
        able = [each for each in self._resident() if each.place.slots() > 0]
        return max(able, key=lambda each: each.place.slots(), default=None)

    async def start(self, *, all_ready: bool = False) -> Loaded | None:
        """Be ready for jobs. The model is loaded now if it is pinned, or if that is asked for; else when first needed.

        Raises:
            ShoalError: it cannot be loaded, or could not a moment ago.
        """
        now = self._pool.clock()
        if self._pool.failure:
            raise NotReady(self._pool.failure, retry_after=1.0)
        if now < self.memory.until:
            raise NotReady(self.memory.failure, retry_after=self.memory.until - now)
        if all_ready or self.spec.pinned:
            self.loaded = await self._arrival()
        return self.loaded

    def resize(self, workers: int) -> None:
        """Be in so many workers, as far as the pool has them."""
        self._replicas = max(workers, 1)
        if self.leases and len(self.leases) < self._replicas:
            self._move_in(None)
        while len(self.leases) > self._replicas:
            lease = self.leases.pop()
            self._settle()
            lease.place.release(lease)
            lease.give_back_held("stop")

    async def drain(self) -> None:
        """Let go of the model; a worker does what it was sent before that anyway."""
        await self.stop()

    async def stop(self) -> None:
        """Let go of the model; a job that waits for it goes back."""
        self._stopped = True
        if self._healing is not None:
            self._healing.cancel()
        self._pool.leave(self)
        leases, self.leases = self.leases, []
        self._settle()
        for lease in leases:
            lease.place.release(lease)
            lease.give_back_held("stop")
        self._arrivals.fail(NotReady("it was stopped"))
        await self._tasks.close()
        await self.spare.stop()
        self.on_room = self.on_change = _nothing
        self.on_death = self.on_evicted = unheard

    # What places tell.

    def expected_bytes(self) -> int:
        """What the model is likely to take."""
        loaded = self.memory.loaded or self.loaded
        return loaded.memory_bytes if loaded is not None else self._pool.file_bytes(self.spec.path)

    def arrived(self, lease: Lease, loaded: Loaded) -> None:
        """The model is there."""
        self.memory.succeeded(loaded, keep=bool(self.spec.digest))
        self.loaded = loaded
        self._settle()
        self.on_change()
        job, lease.held = lease.held, None
        if job is not None:
            lease.place.send(lease, job)
        self._arrivals.came(loaded)
        self.on_room()

    def evicted(self, lease: Lease, reason: str) -> None:
        """A worker had to let go of the model."""
        self.memory.gone = reason
        self._drop(lease)
        if not self.leases:
            self.on_change()
            self.on_evicted(reason)
            self.on_room()

    def failed(self, lease: Lease, error: ShoalError) -> None:
        """The model cannot be loaded."""
        self._drop(lease)
        self._fail(error, lease)

    def load_killed(self, reason: str, *, alone: bool) -> None:
        """A worker has died while it loaded the model; whether for that is found out where it hurts nobody.

        Args:
            reason: of the death.
            alone: the worker did nothing else that may be to blame.
        """
        memory = self.memory
        memory.deaths += 1
        if alone:
            self.on_death(reason)
        if memory.deaths >= MOST_DEATHS:
            hint = "give it workers of its own: `placement: dedicated`"
            self._fail(NotReady(f"{memory.deaths} shared workers died while they loaded it ({reason})", hint=hint))
        elif not self._stopped and (memory.deaths > 1 or reason not in HARMLESS):
            self._trying = True
            self._tasks.start(f"trial of {self.label}", self._try_alone())

    def bereaved(self, lease: Lease, reason: str) -> None:
        """The worker is no more; nothing that waited there has been looked at."""
        self._drop(lease)
        lease.give_back_held(reason)
        if self._stopped or self.failure:
            return
        self.on_change()
        if (self.spec.pinned or self._arrivals) and not self._trying:
            self._pool.call_when_up(self)
        asyncio.get_running_loop().call_soon(self._ask_again, f"its worker ended ({reason})")

    def given_up(self, lease: Lease) -> None:
        """Whoever waited for the load has gone."""
        self._drop(lease)
        lease.give_back_held("given_up")
        asyncio.get_running_loop().call_soon(self._ask_again, "whoever had asked for it was gone before its turn")

    def unhoused(self, why: str) -> None:
        """No worker of the pool can be kept up."""
        if not self._stopped and not self.failure:
            self._fail(NotReady(why))

    def called(self) -> None:
        """There is a place again."""
        if self.spec.pinned or self._arrivals:
            self._move_in(None)
        self.on_room()

    def _ask_again(self, why: str) -> None:
        """Called when all jobs have been given back. If nobody needs the model any more, its owner is told why."""
        self.on_room()
        if not (self.leases or self._stopped or self._trying or self.failure or self._pool.is_waiting(self)):
            self.memory.gone = why
            self.on_evicted(why)

    # Its own affairs.

    def _resident(self) -> list[Lease]:
        return [each for each in self.leases if each.stay is Stay.RESIDENT]

    def _settle(self) -> None:
        only = self.leases[0] if len(self.leases) == 1 else None
        self._only = only if only is not None and only.stay is Stay.RESIDENT else None

    def _drop(self, lease: Lease) -> None:
        if lease in self.leases:
            self.leases.remove(lease)
        self._settle()

    def _move_in(self, job: Job | None) -> None:
        """Have the model loaded where it belongs; the job waits for the first of these loads."""
        if self.leases and job is not None:  # all of them are on their way: `free` has said 0
            raise RuntimeError("a job was sent to a seat without room")
        taken = {lease.place.name for lease in self.leases}
        for place in self._pool.places_for(self, self._replicas):
            if place.name not in taken and len(self.leases) < self._replicas:
                self.leases.append(place.admit(self, job))
                job = None
        self._settle()
        if not self.leases:
            self._pool.call_when_up(self)

    async def _arrival(self) -> Loaded:
        """Return when the model has come to all the workers where it belongs. Where many want few places, one of them
        may have let go of it again by then: that is no reason to ask once more, a job will."""
        wanted = min(self._replicas, self._pool.size)
        for _ in range(wanted):
            if len(self._resident()) >= wanted:
                break
            arrival = self._arrivals.expect()
            if not self._trying:
                self._move_in(None)
            self.loaded = await arrival
        assert self.loaded is not None
        return self.loaded

    def _fail(self, error: ShoalError, lease: Lease | None = None) -> None:
        """Tell everybody, and try again after a while if somebody asks then."""
        delay = self.memory.failed(error.message, self._pool.clock())
        logger.error("%s cannot be loaded: %s", self.label, error.message, extra={"next": delay})
        self.failure = error.message
        self._arrivals.fail(error)
        self.on_change()
        if lease is not None:
            lease.give_back_held("load_failed")
        if not self._stopped:
            self._healing = asyncio.get_running_loop().call_later(delay, self._heal)

    def _heal(self) -> None:
        self._healing = None
        self.failure = ""
        self.on_change()
        self.on_room()

    async def _try_alone(self) -> None:
        """Load the model in a worker of its own, where it can hurt nobody."""
        try:
            reason = await tried(self._make_alone, self.spec)
        finally:
            self._trying = False
        if reason:
            self._fail(NotReady(reason, hint="its last words are in the log"))
        else:
            self.called()

    def _make_alone(self, hooks: Hooks) -> Member:
        return self._pool.make_alone(self.spec, hooks)
