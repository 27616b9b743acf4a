"""Collates the calls of one model version into batches and gives each call **exactly one** outcome.

    submit ──▶ queue ──(policy: now?)──▶ job ──▶ workers ──▶ done ──▶ ledger ──▶ call.answer / call.fail
                 ▲                                   └─ lost: innocent ──▶ front of the queue
                 └───────────────────────────────────┘        suspect ──▶ quarantine

Nothing here waits: every step is a plain call, made by the gateway, by the workers, or by one of three timers of the
loop (flush at the end of the loop's turn, the window of ``fixed``, the earliest deadline). There is no timer, task or
future per request. Decisions are made elsewhere: when to close a batch in `policy`, how large it may be in `sizing`,
who is next in `queue`.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Iterator
from math import inf

from shoal.core.call import Call, State
from shoal.core.clock import Clock
from shoal.core.errors import ShoalError, Unavailable
from shoal.core.ipc.messages import Done
from shoal.core.model import Batching
from shoal.core.pressure import Stage
from shoal.serving.batching.deadlines import DeadlineWatch
from shoal.serving.batching.instruments import ModelInstruments
from shoal.serving.batching.ledger import Ledger
from shoal.serving.batching.poison import PoisonTable
from shoal.serving.batching.policy import seconds_to_close
from shoal.serving.batching.quarantine import Quarantine
from shoal.serving.batching.sizing import AutoSize, FixedSize, Size
from shoal.serving.batching.waiting.admission import Admission
from shoal.serving.batching.waiting.entrance import Entrance, Refusal
from shoal.serving.batching.waiting.queue import CallQueue, alike
from shoal.serving.batching.waiting.turns import WeightOf
from shoal.serving.batching.workers import Loop, Taker, Timer, Workers
from shoal.serving.pool.jobs import Job, Loss

logger = logging.getLogger(__name__)

NO_SPLIT = 2**31 - 1
"""Rows that no request has: a request of a model that is not batchable is never split either."""


class Batcher:
    """See the module; implements `core.call.Dispatch`.

    Args:
        settings: how to collate.
        workers: who runs the batches; they call `flush` whenever they have room.
        quarantine_worker: who runs suspects.
        ledger: where outcomes go.
        instruments: the model version's metrics.
        clock: monotonic seconds.
        loop: the running event loop.
        pure: whether a call may run again when its worker died.
        name: model and version, for the poison's fingerprints.
        parallel: workers that share the load.
        weight_of: tenants' shares of what there is.
    """

    def __init__(
        self,
        settings: Batching,
        *,
        workers: Workers,
        quarantine_worker: Taker,
        ledger: Ledger,
        instruments: ModelInstruments,
        clock: Clock,
        loop: Loop,
        pure: bool = True,
        name: str = "",
        parallel: int = 1,
        weight_of: WeightOf = alike,
    ) -> None:
        self._workers = workers
        self._ledger = ledger
        self._instruments = instruments
        self._clock = clock
        self._loop = loop
        self._pure = pure
        self._queue = CallQueue(weight_of)
        self._jobs: set[Job] = set()
        self._admission = Admission(settings, parallel)
        self._poison = PoisonTable(name)
        self._quarantine = Quarantine(
            quarantine_worker, ledger, self._poison, instruments, clock, self._refuse_alike, self._check_idle
        )
        self._deadlines = DeadlineWatch(clock, loop)
        self._entrance = Entrance(self._queue, self._admission, workers, ledger, clock)
        self._alone = False
        self._scheduled = False
        self._batch_seconds = 0.0
        self._window: Timer | None = None
        self._idle: asyncio.Future[None] | None = None
        self.configure(settings)

    def configure(self, settings: Batching) -> None:
        """Collate like this from now on."""
        self.settings = settings
        self._admission.configure(settings)
        target = None if settings.latency_target_ms is None else settings.latency_target_ms / 1000
        self._size: Size = AutoSize(target) if settings.max_size is None else FixedSize(settings.max_size)
        self._instruments.batch_limit.value = self._size.rows
        if self._queue.rows:
            self._schedule()

    def share(self, parallel: int) -> None:
        """So many workers share the load from now on."""
        self._admission.share(parallel)

    def keep_apart(self) -> None:
        """The model is not batchable: one request per batch from now on."""
        self._alone = True

    def refuse(self, refusal: Refusal | None) -> None:
        """Answer new calls with this error; None: take them again. What was accepted is not touched."""
        self._entrance.close(refusal)

    def strain(self, stage: Stage) -> None:
        """The node's memory is as full as this: see `core.pressure`."""
        self._entrance.strain(stage)

    def shed(self, bytes: int) -> None:
        """Shed what waits, from the end, until no more than so many bytes do."""
        self._entrance.shed(bytes)
        self._check_idle()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the bodies that wait."""
        return self._queue.bytes

    def submit(self, call: Call) -> None:
        """Take the call over; see `core.call.Dispatch`."""
        queue = self._queue
        if (self._entrance.watchful or self._poison.until) and self._refused(call):
            return
        free, admission = self._workers.free, self._admission
        if (
            queue.rows > admission.easy_rows
            or queue.bytes > admission.easy_bytes
            or call.rows > 1
            or (not free and self._workers.turn)
        ) and not self._entrance.admits(call, free):
            return
        queue.append(call)
        if call.deadline < self._deadlines.next or self.settings.queue_seconds is not None:
            self._watch(call)
        if free and not self._scheduled:
            self._schedule()

    def cancel(self, call: Call) -> None:
        """The caller has gone; see `core.call.Dispatch`."""
        if call.state is State.QUEUED:
            self._queue.release(call)
        self._ledger.cancel(call)
        self._check_idle()

    def flush(self) -> None:
        """Send what is to be sent now; called whenever a worker has room."""
        queue, workers = self._queue, self._workers
        while queue.rows > 0 and workers.free > 0:
            now = self._clock()
            size = self._size.rows
            wait = seconds_to_close(
                self.settings,
                queue,
                free=workers.free,
                ahead=workers.ahead,
                size=1 if self._alone else size,
                expected=self._batch_seconds,
                now=now,
            )
            if wait > 0:
                self._open_window(wait)
                return
            calls = queue.take(size, now, self._ledger.expire, alone=self._alone)
            if calls:
                self._send(calls, size, now)
        self._check_idle()

    def done(self, job: Job, done: Done, payload: bytes | bytearray) -> None:
        """A worker has answered; see `JobOwner`."""
        self._jobs.discard(job)
        self._ledger.deliver(job, done, payload, self._clock())
        seconds = done.decode + done.compute + done.encode
        if done.rows:
            self._batch_seconds = seconds
            if job.full:
                self._admission.learn(done.rows, seconds)
            else:
                self._admission.reconsider(done.rows, seconds)
            self._size.observe(done.rows, seconds, full=job.full)
            self._instruments.batch_limit.value = self._size.rows
        self._check_idle()

    def lost(self, job: Job, loss: Loss) -> None:
        """A worker has died; see `JobOwner`."""
        self._jobs.discard(job)
        if not loss.suspect:
            self._queue.put_back(job.calls)
            self._schedule()
        elif self._pure:
            self._quarantine.admit(job, loss)
        else:
            for call in job.calls:
                self._ledger.fail(call, Unavailable(f"the worker died while it ran this request ({loss.reason})"))
        self._check_idle()

    def fail_all(self, refusal: Refusal) -> None:
        """Give every call that has no outcome this error."""
        for call in list(self._outstanding()):
            self._fail(call, refusal())
        self._check_idle()

    async def drained(self) -> None:
        """Return when every call has its outcome."""
        self._idle = asyncio.get_running_loop().create_future()
        self._check_idle()
        await self._idle

    @property
    def in_flight(self) -> int:
        """Calls that have no outcome yet."""
        return sum(1 for _ in self._outstanding())

    def update_gauges(self) -> None:
        """Say how much waits; for whoever reads the metrics."""
        self._instruments.queue_rows.value = self._queue.rows
        self._instruments.queue_bytes.value = self._queue.bytes

    def proceed_quarantine(self) -> None:
        """The quarantine worker has room."""
        self._quarantine.proceed()

    def close(self) -> None:
        """End the timers, and know nobody any more who knows this."""
        self._deadlines.close()
        self._close_window()
        self._quarantine.close()

    def _refused(self, call: Call) -> bool:
        if self._entrance.refuses(call):
            return True
        if not self._poison.refuses(call, self._clock()):
            return False
        self._quarantine.refuse(call)
        return True

    def _refuse_alike(self, culprit: Call) -> None:
        """Of what waits, refuse what has the content of an input that was found to end workers."""
        for call in self._poison.alike(culprit, list(self._queue)):
            self._queue.release(call)
            self._quarantine.refuse(call)

    def _send(self, calls: list[Call], size: int, now: float) -> None:
        rows, waited, histogram = 0, 0.0, self._instruments.queue_seconds
        counts, bounds = histogram.counts, histogram.bounds
        for call in calls:
            seconds = now - call.arrived
            counts[bisect_left(bounds, seconds)] += 1
            waited += seconds
            rows += call.rows
        histogram.sum += waited
        job = Job(calls, rows, NO_SPLIT if self._alone else size, self, now)
        job.waited = waited
        job.full = self._queue.rows > 0
        self._jobs.add(job)
        self._workers.send(job)

    def _schedule(self) -> None:
        """All calls that come in this turn of the loop leave together."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._scheduled = False
        self.flush()

    def _open_window(self, seconds: float) -> None:
        self._close_window()
        if seconds < inf:
            self._window = self._loop.call_later(seconds, self._window_over)

    def _window_over(self) -> None:
        self._window = None
        self.flush()

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.cancel()
            self._window = None

    def _watch(self, call: Call) -> None:
        due = self._due(call)
        if due < self._deadlines.next:
            self._deadlines.look_at(due, self._sweep)

    def _due(self, call: Call) -> float:
        """When it has its outcome at the latest."""
        bound = self.settings.queue_seconds
        if bound is None or call.state is not State.QUEUED:
            return call.deadline
        return min(call.deadline, call.arrived + bound)

    def _sweep(self, now: float) -> float:
        """Give overdue calls their outcome, shed what has waited longer than it may; when to look again."""
        for call in [call for call in self._outstanding() if call.deadline <= now]:
            if call.state is State.QUEUED:
                self._queue.release(call)
            self._ledger.expire(call)
        for call in list(self._queue):
            if (error := self._admission.waited_too_long(call, now)) is not None:
                self._fail(call, error)
        self._check_idle()
        return min(map(self._due, self._outstanding()), default=inf)

    def _outstanding(self) -> Iterator[Call]:
        """Every call that has no outcome yet."""
        yield from self._queue
        for job in self._jobs:
            for call in job.calls:
                if call.state is not State.DONE:
                    yield call
        yield from self._quarantine

    def _fail(self, call: Call, error: ShoalError) -> None:
        if call.state is State.QUEUED:
            self._queue.release(call)
        self._ledger.fail(call, error)

    def _check_idle(self) -> None:
        if self._idle is not None and not self._idle.done() and next(self._outstanding(), None) is None:
            self._idle.set_result(None)
