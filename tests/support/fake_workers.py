"""Workers without processes: they take jobs, and end them when the test (or a cost in virtual time) says so."""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.errors import ShoalError
from shoal.core.ipc.messages import FAILED, OK, Done, encode
from shoal.core.metrics import Metrics
from shoal.core.model import Batching
from shoal.serving.batching.batcher import Batcher
from shoal.serving.batching.instruments import Instruments, ModelInstruments
from shoal.serving.batching.ledger import Ledger
from shoal.serving.pool.jobs import Job, Loss
from support.calls import RecordedCall
from support.virtual_loop import VirtualLoop


def echo(job: Job, seconds: float = 0.001, errors: dict[int, ShoalError] | None = None) -> tuple[Done, bytes]:
    """What a worker answers that gives each body back, or an error for the items at the given places."""
    failed = errors or {}
    items = [encode(failed[at].to_record()) if at in failed else bytes(call.body) for at, call in enumerate(job.calls)]
    done = Done(
        id=0,
        statuses=bytes(FAILED if at in failed else OK for at in range(len(items))),
        lengths=[len(item) for item in items],
        json_lengths=[-1] * len(items),
        rows=sum(call.rows for call in job.calls),
        executions=1,
        decode=0.0,
        compute=seconds,
        encode=0.0,
    )
    return done, b"".join(items)


class FakeWorkers:
    """Implements `Workers`: `slots` jobs at a time, first come, first done."""

    turn = 0.0

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.workers = 1
        self.jobs: list[Job] = []
        self.sent: list[list[int]] = []
        self.sizes: list[int] = []
        self.on_room: Callable[[], None] = lambda: None

    @property
    def free(self) -> int:
        return self.slots - len(self.jobs)

    @property
    def ahead(self) -> int:
        return 0 if len(self.jobs) < self.workers else min(job.rows for job in self.jobs[: self.workers])

    def send(self, job: Job) -> None:
        assert self.free > 0
        self.jobs.append(job)
        self.sizes.append(sum(call.rows for call in job.calls))
        self.sent.append([call.number for call in job.calls if isinstance(call, RecordedCall)])

    def finish(self, seconds: float = 0.001, errors: dict[int, ShoalError] | None = None) -> None:
        """The first job is answered."""
        job = self.jobs.pop(0)
        self.on_room()
        job.owner.done(job, *echo(job, seconds, errors))

    def die(self, reason: str = "SIGSEGV", *, outside: bool = False) -> None:
        """The worker dies: the first job is the suspect, the others are innocent."""
        lost, self.jobs = self.jobs, []
        while lost:
            job = lost.pop()
            job.owner.lost(job, Loss(reason, suspect=not lost, outside=outside))
        self.on_room()


class TimedWorkers(FakeWorkers):
    """Workers that need time: `cost(rows)` seconds a batch, one batch of each worker at a time."""

    def __init__(self, loop: VirtualLoop, cost: Callable[[int], float], *, workers: int = 1, depth: int = 2) -> None:
        super().__init__(workers * depth)
        self.workers = workers
        self._loop = loop
        self._cost = cost
        self._idle = workers
        self._waiting: list[Job] = []

    def send(self, job: Job) -> None:
        super().send(job)
        self._waiting.append(job)
        self._begin()

    def _begin(self) -> None:
        if self._idle and self._waiting:
            self._idle -= 1
            job = self._waiting.pop(0)
            seconds = self._cost(sum(call.rows for call in job.calls))
            self._loop.call_later(seconds, lambda: self._end(job, seconds))

    def _end(self, job: Job, seconds: float) -> None:
        self._idle += 1
        self.jobs.remove(job)
        self._begin()
        self.on_room()
        job.owner.done(job, *echo(job, seconds))


class Bench:
    """A batcher on virtual time with fake workers, and calls for it."""

    def __init__(
        self,
        settings: Batching | None = None,
        *,
        slots: int = 2,
        pure: bool = True,
        workers: Callable[[VirtualLoop], FakeWorkers] | None = None,
    ) -> None:
        self.loop = VirtualLoop()
        self.clock = self.loop.clock
        self.metrics = Metrics()
        self.instruments = ModelInstruments(Instruments(self.metrics), "m", "1")
        self.ledger = Ledger("m", self.instruments)
        self.workers = workers(self.loop) if workers else FakeWorkers(slots)
        self.spare = FakeWorkers(1)
        self.batcher = Batcher(
            settings or Batching(max_size=4),
            workers=self.workers,
            quarantine_worker=self.spare,
            ledger=self.ledger,
            instruments=self.instruments,
            clock=self.clock,
            loop=self.loop,
            pure=pure,
            name="m/1",
        )
        self.workers.on_room = self.batcher.flush
        self.calls: list[RecordedCall] = []

    def submit(self, count: int = 1, **fields: object) -> list[RecordedCall]:
        """Submit calls that arrive now."""
        new = []
        for _ in range(count):
            call = RecordedCall(len(self.calls), arrived=self.clock.now, **fields)  # type: ignore[arg-type]
            self.calls.append(call)
            new.append(call)
            self.batcher.submit(call)
        return new

    def outcomes(self) -> dict[str, int]:
        """How many calls ended how, as the metrics say."""
        return {code: int(counter.value) for code, counter in self.instruments.outcomes.items() if counter.value}
