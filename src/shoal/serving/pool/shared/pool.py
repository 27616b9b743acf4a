"""A shared pool: few workers, many models. It keeps the workers up and gives out seats.

Read in this order: `seat` (a model, as its runner sees it), `place` (a worker, and what is in it), `line` (who is next
when it has room), `remembered` (what is known of models that are not in memory). Which worker a model goes to is
rendezvous hashing with bounded load over those that are up; which model goes for it is in `core.placement.residency`.

Of a model that has no seat the pool holds nothing but what it remembers, and that is bounded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotReady
from shoal.core.model import ModelSpec
from shoal.core.placement.rendezvous import choose
from shoal.core.placement.sharding import shard
from shoal.core.tasks import Tasks
from shoal.serving.pool.confining.confiner import Cell
from shoal.serving.pool.member import Hooks, Member
from shoal.serving.pool.processes.cgroup import remove_stale
from shoal.serving.pool.processes.environment import worker_environment
from shoal.serving.pool.processes.process import COMMAND, Launch
from shoal.serving.pool.shared.explaining import explain
from shoal.serving.pool.shared.place import Place
from shoal.serving.pool.shared.remembered import Remembered, content_key
from shoal.serving.pool.shared.seat import Seat
from shoal.serving.pool.shared.sharing import Counters, SharedSettings

LOOKS = 4
"""How often, within the time that makes a model idle, the pool looks for idle ones."""


class SharedPool:
    """See the module. Made inside a running event loop.

    Args:
        name: of the pool.
        settings: see there.
        clock: monotonic seconds.
        command: how a worker is started.
        file_bytes: the size of a model's files, as a first guess at what it takes.
        confine: makes what a worker is confined to, for the pool or for one of its models alone; None: to nothing.

    Attributes:
        places: the workers.
        counters: what has happened so far.
    """

    def __init__(
        self,
        name: str,
        settings: SharedSettings,
        *,
        clock: Clock = monotonic,
        command: tuple[str, ...] = COMMAND,
        file_bytes: Callable[[str], int] = lambda path: 0,
        confine: Callable[[], Cell] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.file_bytes = file_bytes
        self.counters = Counters()
        self.remembered = Remembered(settings.remembered)
        self.failure = ""
        self._command = command
        self._confine = confine
        self._tasks = Tasks()
        self._environment = worker_environment(os.environ, threads=settings.threads, settings=settings.environment)
        self._waiting: dict[Seat, None] = {}
        self._up = asyncio.Event()
        self.places = [self._place(str(number)) for number in range(settings.workers)]
        self.size = settings.workers

    def _place(self, name: str) -> Place:
        return Place(
            name,
            pool=self.name,
            settings=self.settings,
            counters=self.counters,
            make=self._make,
            on_up=self._came_up,
            on_failing=self._failing,
            clock=self.clock,
        )

    async def start(self) -> None:
        """Start the workers; return when the first of them is ready.

        Raises:
            NotReady: none of them can be started.
        """
        if self.settings.limit_bytes is not None:
            remove_stale()
        for place in self.places:
            place.start()
        if self.settings.idle_seconds is not None:
            self._tasks.start(f"idle models of pool {self.name}", self._look_for_idle(self.settings.idle_seconds))
        await self._up.wait()
        if self.failure:
            raise NotReady(self.failure, hint="the workers' last words are in the log")

    async def stop(self) -> None:
        """End the workers; their seats are to be stopped before."""
        await self._tasks.close()
        await asyncio.gather(*(place.stop() for place in self.places))

    def seat(self, spec: ModelSpec) -> Seat:
        """A seat for a model version; it costs next to nothing until a job is sent."""
        return Seat(self, spec, self.remembered.of(content_key(spec)))

    def explain(self, spec: ModelSpec) -> list[str]:
        """Where a model is, and why it is not where one might expect it: sentences for people."""
        return explain(self.name, self.places, spec, self.remembered.peek(content_key(spec)), self.clock())

    # What seats ask for.

    def has_place(self, seat: Seat) -> bool:
        """Whether the model could be loaded somewhere now; if not, its seat is called when it can be."""
        if self.failure or not any(place.member is not None for place in self._allowed(seat)):
            self.call_when_up(seat)
            return False
        return True

    def places_for(self, seat: Seat, count: int) -> list[Place]:
        """The workers that a model belongs to, the first choice first; only such as are up."""
        open_places = {place.name: place for place in self._allowed(seat) if place.member is not None}
        chosen: list[Place] = []
        while open_places and len(chosen) < count:
            load = {name: float(len(place.leases)) for name, place in open_places.items()}
            name = choose(seat.label, dict.fromkeys(open_places, 1.0), load) if len(load) > 1 else next(iter(load))
            assert name is not None
            chosen.append(open_places.pop(name))
        return chosen

    def call_when_up(self, seat: Seat) -> None:
        """Call the seat when a worker is up again; if none can be kept up, it is told so."""
        self._waiting[seat] = None
        if self.failure:
            asyncio.get_running_loop().call_soon(self._tell_waiting)

    def is_waiting(self, seat: Seat) -> bool:
        """Whether the seat will be called."""
        return seat in self._waiting

    def leave(self, seat: Seat) -> None:
        """The seat need not be called any more."""
        self._waiting.pop(seat, None)

    def make_alone(self, spec: ModelSpec, hooks: Hooks) -> Member:
        """A worker for one model alone, not started yet."""
        limit = spec.limits.memory_bytes or self.settings.limit_bytes
        environment = {**self._environment, **spec.environment}
        launch = Launch(
            model=spec.name,
            environment=environment,
            memory_bytes=limit,
            command=self._command,
            confine=self._confine,
        )
        return Member(launch, hooks, self.clock)

    # Its own affairs.

    def _allowed(self, seat: Seat) -> list[Place]:
        """The places where models of the seat's tenant may be."""
        count = self.settings.shard
        if count is None or count >= self.size or not seat.spec.tenant:
            return self.places
        names = shard(seat.spec.tenant, dict.fromkeys((place.name for place in self.places), 1.0), count)
        return [place for place in self.places if place.name in names]

    def _make(self, hooks: Hooks) -> Member:
        settings = self.settings
        preload = ("--preload", ",".join(settings.preload)) if settings.preload else ()
        launch = Launch(
            model=f"pool {self.name}",
            environment=self._environment,
            memory_bytes=settings.limit_bytes,
            command=(*self._command, "--shared", *preload),
            confine=self._confine,
        )
        return Member(launch, hooks, self.clock, max_requests=settings.max_requests)

    def _came_up(self) -> None:
        self.failure = ""
        self._up.set()
        waiting, self._waiting = self._waiting, {}
        for seat in waiting:
            seat.called()

    def _failing(self, why: str) -> None:
        if not any(place.member is not None for place in self.places):
            self.failure = f"the workers of pool {self.name!r} cannot be started: {why}"
            self._up.set()
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self.failure:
            waiting, self._waiting = self._waiting, {}
            for seat in waiting:
                seat.unhoused(self.failure)

    async def _look_for_idle(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / LOOKS)
            for place in self.places:
                place.evict_idle(self.clock(), seconds)
