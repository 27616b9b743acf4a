"""One model at a host: its workers, and the proxies that share them.

A proxy may have as many batches under way as `shares` says; so no more come than workers take at once, plus one of each
proxy, and those wait here in the order in which they came. Nothing is put together, split or tried again: that is for
the proxy to do, which is told how each batch ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from shoal.core.call import Call
from shoal.core.clock import Clock
from shoal.core.ipc.messages import Done, Loaded
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.pool.pool import DEPTH
from shoal.serving.remote.shares import shares

ACTIVE_SECONDS = 1.0
"""A proxy that has sent nothing for so long leaves its share to the others."""


class Workers(Protocol):
    """What a host needs of a model's workers; `pool.Pool` is one."""

    free: int
    on_room: Callable[[], None]
    on_change: Callable[[], None]
    on_death: Callable[[str], None]
    failure: str

    @property
    def spare(self) -> Taker: ...

    @property
    def ready(self) -> int: ...

    async def start(self, *, all_ready: bool = False) -> Loaded: ...

    def resize(self, workers: int) -> None: ...

    def send(self, job: Job) -> None: ...

    async def stop(self) -> None: ...


class Taker(Protocol):
    @property
    def free(self) -> int: ...

    def send(self, job: Job) -> None: ...


class User(Protocol):
    """A proxy that has the model open."""

    def slots(self, stock: Stock, slots: int) -> None:
        """It may have so many batches under way; `stock` says how many workers there are."""

    def died(self, stock: Stock, reason: str) -> None: ...

    def ended(self, errand: Errand, done: Done, payload: bytes | bytearray) -> None: ...

    def failed(self, errand: Errand, loss: Loss) -> None: ...


class Errand(Job):
    """A batch of a proxy.

    Attributes:
        user: whose it is.
        number: by which the proxy knows it.
        aside: it is for the quarantine worker.
    """

    __slots__ = ("aside", "number", "user")

    def __init__(
        self, stock: Stock, user: User, number: int, calls: list[Call], *, rows: int, max_size: int, aside: bool
    ) -> None:
        super().__init__(calls, rows, max_size, stock, 0.0)
        self.user = user
        self.number = number
        self.aside = aside


class Stock:
    """See the module; implements `pool.jobs.JobOwner`.

    Args:
        workers: not started yet.
        clock: monotonic seconds.

    Attributes:
        loaded: what the first worker has said of the model.
        kept: it stays although no proxy has it open.
        idle_since: since when no proxy has it open (monotonic seconds).
    """

    def __init__(self, workers: Workers, *, clock: Clock, on_death: Callable[[str], None]) -> None:
        self.workers = workers
        self.loaded: Loaded | None = None
        self.kept = False
        self.idle_since = clock()
        self._clock = clock
        self._on_death = on_death
        self._users: dict[User, float] = {}
        self._told: dict[User, tuple[int, int, str]] = {}
        self._wishes: dict[User, int] = {}
        self._waiting: deque[Errand] = deque()
        self._suspects: deque[Errand] = deque()
        self._running: set[Errand] = set()
        workers.on_room = self._flush
        workers.on_change = self.tell
        workers.on_death = self._died

    @property
    def in_flight(self) -> int:
        """Batches that have no outcome yet."""
        return len(self._waiting) + len(self._suspects) + len(self._running)

    @property
    def unwanted(self) -> bool:
        """Whether no proxy has it open, and nobody wants it kept."""
        return not (self._users or self.kept or self.in_flight)

    async def start(self) -> None:
        """Raises a `ShoalError` if the model cannot be loaded; it is stopped then."""
        try:
            self.loaded = await self.workers.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the workers; what is under way is lost."""
        await self.workers.stop()
        for errand in [*self._suspects, *self._waiting]:
            errand.user.failed(errand, Loss("stop", suspect=False, outside=True))
        self._suspects.clear()
        self._waiting.clear()
        self.workers.on_room = self.workers.on_change = lambda: None
        self.workers.on_death = lambda reason: None

    def open(self, user: User) -> None:
        """A proxy may send batches from now on."""
        self._users.setdefault(user, float("-inf"))
        self._told.pop(user, None)
        self.tell()

    def close(self, user: User) -> None:
        """A proxy sends no more; what of it waits is dropped, as nobody wants the answer."""
        self._users.pop(user, None)
        self._told.pop(user, None)
        if self._wishes.pop(user, None) is not None and self._wishes:
            self.workers.resize(max(self._wishes.values()))
        for line in (self._waiting, self._suspects):
            for errand in [each for each in line if each.user is user]:
                line.remove(errand)
        if not self._users:
            self.idle_since = self._clock()
        self.tell()

    def scale(self, user: User, workers: int) -> None:
        """A proxy wants so many workers; who wants most has them."""
        before = max(self._wishes.values(), default=0)
        self._wishes[user] = workers
        if (now := max(self._wishes.values())) != before:
            self.workers.resize(now)

    def run(self, errand: Errand) -> None:
        """Take a batch over: its proxy is told of its end."""
        if errand.user in self._users:
            slept = self._clock() - self._users[errand.user] > ACTIVE_SECONDS
            self._users[errand.user] = self._clock()
            if slept:
                self.tell()
        (self._suspects if errand.aside else self._waiting).append(errand)
        self._flush()

    def tell(self) -> None:
        """Tell proxies what they may send, as far as that has changed; to be called now and then, too."""
        now, ready, failure = self._clock(), self.workers.ready, self.workers.failure
        active = {user: now - sent <= ACTIVE_SECONDS for user, sent in self._users.items()}
        for user, slots in shares(ready * DEPTH, active).items():
            told = slots, ready, failure
            if self._told.get(user) != told:
                self._told[user] = told
                user.slots(self, slots)

    def done(self, job: Job, done: Done, payload: bytes | bytearray) -> None:
        """See `JobOwner`."""
        assert isinstance(job, Errand)
        self._running.discard(job)
        job.user.ended(job, done, payload)
        self._flush_aside()

    def lost(self, job: Job, loss: Loss) -> None:
        """See `JobOwner`."""
        assert isinstance(job, Errand)
        self._running.discard(job)
        job.user.failed(job, loss)
        self._flush_aside()

    def _flush(self) -> None:
        while self._waiting and self.workers.free:
            self._send(self.workers, self._waiting.popleft())
        self._flush_aside()

    def _flush_aside(self) -> None:
        while self._suspects and self.workers.spare.free:
            self._send(self.workers.spare, self._suspects.popleft())

    def _send(self, taker: Taker, errand: Errand) -> None:
        self._running.add(errand)
        taker.send(errand)

    def _died(self, reason: str) -> None:
        self._on_death(reason)
        for user in list(self._users):
            user.died(self, reason)
