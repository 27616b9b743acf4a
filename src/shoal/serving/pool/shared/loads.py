"""The loads of one shared worker: one model at a time, in the order in which they were asked for.

What has to go for a model is decided in `core.placement.residency`, by what was measured; it goes before the load
begins. A load that nobody waits for any more is left out. A model that cannot be had there is refused with the reason;
one that only has to wait until something is given back does so, and those behind it wait with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from shoal.core.clock import Clock
from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.placement import residency
from shoal.core.placement.quantities import size
from shoal.serving.pool.member import Member, WorkerDied
from shoal.serving.pool.shared.lease import Lease, Stay
from shoal.serving.pool.shared.sharing import Counters, SharedSettings

if TYPE_CHECKING:
    from shoal.serving.pool.shared.place import Place

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""A load that waits until something is given back looks again after so many seconds at the latest."""


class Loads:
    """See the module.

    Args:
        place: whose they are.
        pool: the pool's name, for logs.
        settings, counters: of the pool.
        clock: monotonic seconds.
    """

    def __init__(self, place: Place, pool: str, settings: SharedSettings, counters: Counters, clock: Clock) -> None:
        self._place = place
        self._pool = pool
        self._settings = settings
        self._counters = counters
        self._clock = clock
        self._queue: deque[Lease] = deque()
        self._loading: Lease | None = None
        self._wake = asyncio.Event()
        self._freed = asyncio.Event()

    def add(self, lease: Lease) -> None:
        """Load this after those that wait already."""
        self._queue.append(lease)
        self._wake.set()

    def forget(self, lease: Lease) -> None:
        """Nobody waits for it any more, or it is gone: there may be room for others."""
        if lease in self._queue:
            self._queue.remove(lease)
        self._freed.set()

    def position(self, lease: Lease) -> int:
        """How many loads are in front of this one."""
        return self._queue.index(lease) + (self._loading is not None) if lease in self._queue else 0

    def wake(self) -> None:
        """There is a worker again."""
        self._wake.set()

    def freed(self) -> None:
        """Something was given back."""
        self._freed.set()

    def interrupted(self) -> Lease | None:
        """The worker is no more: what it was loading, if anything."""
        loading, self._loading = self._loading, None
        return loading

    async def run(self) -> None:
        """Load what waits, one after the other, for ever."""
        place = self._place
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and place.member is not None:
                async with place.changing:
                    if self._queue and (member := place.member) is not None:
                        await self._load(member, self._queue.popleft())

    async def _load(self, member: Member, lease: Lease) -> None:
        seat = lease.seat
        if not lease.is_wanted:
            self._place.forget(lease)
            seat.given_up(lease)
            return
        need = seat.expected_bytes()
        if not await self._make_room(lease, need):
            return
        lease.stay, self._loading = Stay.LOADING, lease
        self._place.residents.reserve(lease.key, need, self._clock(), pinned=seat.spec.pinned)
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
            plan = residency.plan_load(self._place.residents, lease.key, need, self._clock())
            match plan:
                case residency.Load():
                    return True
                case residency.Evict(victims=victims, reason=reason):
                    for key in victims:
                        self._place.evict(key, "pressure", reason)
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
            await self._place.unload(member, lease)
            return
        lease.stay = Stay.RESIDENT
        self._place.residents.loaded(lease.key, loaded.memory_bytes, self._clock())
        if (reason := self._too_large(lease, loaded.memory_bytes)) is not None:
            self._place.release(lease, "limit", reason)
            self._refuse(lease, reason)
            return
        lease.seat.arrived(lease, loaded)
        if (plan := residency.plan_fit(self._place.residents, self._clock())) is not None:
            for key in plan.victims:
                self._place.evict(key, "pressure", plan.reason)

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
        self._place.forget(lease)
        lease.seat.failed(lease, NotReady(reason, hint="see `shoal why` for what is in the way"))

    def _failed(self, lease: Lease, error: ShoalError) -> None:
        self._counters.load_failures += 1
        if self._loading is lease:
            self._loading = None
        self._place.forget(lease)
        lease.seat.failed(lease, error)
