"""One worker of a pool: from its start to its end.

`start` returns when the model is loaded. Jobs that are sent then are answered in order, so the first one without an
answer is the one being worked on: when the worker dies it is the suspect, and those behind it are innocent. A job that
takes longer than the model's limit gets its worker killed. Every job ends in `done` or `lost`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from shoal.core.clock import Clock
from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc import messages
from shoal.core.model import ModelSpec
from shoal.serving.pool.channel import Channel, socket_pair
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.pool.process import Launch, WorkerProcess
from shoal.serving.pool.supervisor import WorkerState, may_follow

logger = logging.getLogger(__name__)

MODEL = 1
"""The number of the only model of a dedicated worker."""
HANG_GRACE = 0.25
"""Seconds above the limit after which a job counts as hung."""
STOP_GRACE = 5.0
"""Seconds for a worker to exit after it was asked to."""
EOF_GRACE = 0.2
"""Seconds between a worker's hanging up and its exit, or the other way round."""
WORN_MEMORY = 0.8
"""Share of the memory limit above which a worker is replaced between two batches."""
OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"})
"""Signals that a model's code does not get by itself."""


class WorkerDied(Exception):
    """The worker has ended before the model was loaded; the argument is the reason label."""


@dataclass(slots=True, kw_only=True)
class Hooks:
    """What the pool wants to know of its members."""

    on_room: Callable[[], None]
    """A job has ended, or the number of free slots has changed otherwise."""
    on_end: Callable[[Member, str], None]
    """The worker is no more; its jobs are lost right after this."""


class Member:
    """See the module.

    Args:
        spec: the model version it serves.
        launch: how to start the process.
        hooks: see there.
        clock: monotonic seconds.
    """

    def __init__(self, spec: ModelSpec, launch: Launch, hooks: Hooks, clock: Clock) -> None:
        self.spec = spec
        self.state = WorkerState.STARTING
        self.jobs: deque[tuple[int, Job]] = deque()
        self.worn = asyncio.Event()
        """Set when it should be replaced by a fresh one."""
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.process: WorkerProcess | None = None
        self.expected = False
        """Whether its end was asked for."""
        self._launch = launch
        self._hooks = hooks
        self._clock = clock
        self._channel = Channel(self._on_message, self._on_channel_end)
        self._hello = asyncio.Event()
        self._loaded: asyncio.Future[messages.Loaded] = asyncio.get_running_loop().create_future()
        self._exit_reason: str | None = None
        self._job_numbers = 0
        self._served = 0
        self._head_since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._stop_timer: asyncio.TimerHandle | None = None

    async def start(self) -> messages.Loaded:
        """Start the process and load the model.

        Raises:
            WorkerDied: the process ended meanwhile.
            ShoalError: the model cannot be loaded, or not in time; the worker is killed.
        """
        try:
            await self._spawn()
            loaded = await self._load()
        except OSError as error:
            self.kill("not_started")
            raise NotReady(f"a worker could not be started: {error}") from error
        except BaseException:
            self.kill("load_failed")
            raise
        if self._channel.ended or self._exit_reason is not None:
            raise WorkerDied(await asyncio.shield(self.ended))
        self._enter(WorkerState.READY)
        self._hooks.on_room()
        return loaded

    async def _spawn(self) -> None:
        ours, theirs = socket_pair()
        try:
            self.process = WorkerProcess(self._launch, theirs, self._on_exit, clock=self._clock)
        except OSError:
            ours.close()
            raise
        await self._channel.open(ours)
        await self.process.read_output()

    async def _load(self) -> messages.Loaded:
        seconds = self.spec.limits.load_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._hello.wait()
                self._channel.send(messages.Load(MODEL, self.spec))
                return await asyncio.shield(self._loaded)
        except TimeoutError as error:
            hint = "raise `limits.load_seconds` if it needs longer"
            raise NotReady(f"loading took longer than {seconds:g} seconds", hint=hint) from error

    def send(self, job: Job) -> None:
        """Give it a job; it must be ready."""
        self._job_numbers += 1
        if not self.jobs:
            self._head_since = self._clock()
            if self._watch is None:
                self._arm(self.spec.limits.execution + HANG_GRACE)
        self.jobs.append((self._job_numbers, job))
        self._channel.send_batch(self._job_numbers, MODEL, job.calls, job.max_size)

    def retire(self) -> None:
        """Take no more jobs, finish those that were sent, exit."""
        if self.state is WorkerState.READY:
            self._leave_service()
            if not self.jobs:
                self._ask_to_stop()

    def stop(self) -> None:
        """End it now; its jobs are lost."""
        self.expected = True
        self.kill("stop")

    def kill(self, reason: str) -> None:
        """SIGKILL; its jobs are lost for this reason."""
        if self.process is not None:
            self.process.kill(reason)

    async def finish(self) -> str:
        """Wait for its end, whatever brings it about; the reason label."""
        reason = await asyncio.shield(self.ended)
        if self.process is not None:
            await self.process.finish()
        return reason

    def _ask_to_stop(self) -> None:
        if self._exit_reason is not None:
            return
        self.expected = True
        self._channel.send(messages.Stop())
        self._stop_timer = asyncio.get_running_loop().call_later(STOP_GRACE, self.kill, "stop")

    def _on_message(self, message: messages.FromWorker, payload: bytes | bytearray) -> None:
        match message:
            case messages.Done():
                self._on_done(message, payload)
            case messages.Hello():
                self._hello.set()
            case messages.Loaded() if not self._loaded.done():
                self._loaded.set_result(message)
            case messages.LoadFailed(error=record) if not self._loaded.done():
                self._loaded.set_exception(record.to_error())
            case _:
                logger.warning("unexpected message", extra={"model": self.spec.name, "kind": type(message).__name__})

    def _on_done(self, done: messages.Done, payload: bytes | bytearray) -> None:
        if not self._fits(done, payload):
            logger.error("answer of a worker of %s does not fit its batch", self.spec.name)
            self.kill("protocol")
            return
        _, job = self.jobs.popleft()
        self._head_since = self._clock()
        self._served += len(job.calls)
        self._check_wear(done)
        if not self.jobs and self.state is WorkerState.DRAINING:
            self._ask_to_stop()
        self._hooks.on_room()
        job.owner.done(job, done, payload)

    def _fits(self, done: messages.Done, payload: bytes | bytearray) -> bool:
        if not self.jobs or self.jobs[0][0] != done.id:
            return False
        count = len(self.jobs[0][1].calls)
        return (
            len(done.statuses) == len(done.lengths) == len(done.json_lengths) == count
            and sum(done.lengths) == len(payload)
            and min(done.lengths) >= 0
        )

    def _check_wear(self, done: messages.Done) -> None:
        limits = self.spec.limits
        if (limits.max_requests is not None and self._served >= limits.max_requests) or (
            limits.memory_bytes is not None and done.memory_bytes > WORN_MEMORY * limits.memory_bytes
        ):
            self.worn.set()

    def _arm(self, seconds: float) -> None:
        self._watch = asyncio.get_running_loop().call_later(max(seconds, 0.001), self._check_hang)

    def _check_hang(self) -> None:
        """One timer for all jobs: it is set again only while there are any."""
        self._watch = None
        if not self.jobs or self._exit_reason is not None:
            return
        left = self._head_since + self.spec.limits.execution + HANG_GRACE - self._clock()
        if left > 0:
            self._arm(left)
            return
        logger.error("worker of %s hangs, killed", self.spec.name, extra={"pid": self.process and self.process.pid})
        self.kill("hang")

    def _on_channel_end(self, label: str) -> None:
        self._leave_service()
        if self._exit_reason is not None:
            self._end()
        elif label == "protocol":
            self.kill("protocol")
        else:
            asyncio.get_running_loop().call_later(EOF_GRACE, self.kill, "hung_up")

    def _on_exit(self, reason: str) -> None:
        self._exit_reason = reason
        self._leave_service()
        if self._channel.ended:
            self._end()
        else:  # what it had said is still to be read; a process that it forked may hold the socket open
            asyncio.get_running_loop().call_later(EOF_GRACE, self._channel.close)

    def _leave_service(self) -> None:
        """It is about to end: no job must be given to it any more."""
        if self.state is WorkerState.READY:
            self._enter(WorkerState.DRAINING)
            self._hooks.on_room()

    def _end(self) -> None:
        reason = self._exit_reason or ""
        self._enter(WorkerState.DEAD)
        for timer in (self._watch, self._stop_timer):
            if timer is not None:
                timer.cancel()
        if not self._loaded.done():
            self._loaded.set_exception(WorkerDied(reason))
            self._loaded.exception()  # it may be that nobody waits any more
        self._hello.set()
        self.ended.set_result(reason)
        self._hooks.on_end(self, reason)
        self._lose_jobs(reason)
        self._hooks.on_room()

    def _lose_jobs(self, reason: str) -> None:
        """Last to first, as each innocent one goes to the front of the queue; the first is the suspect."""
        while self.jobs:
            _, job = self.jobs.pop()
            job.owner.lost(job, Loss(reason, suspect=not self.jobs, outside=reason in OUTSIDE))

    def _enter(self, state: WorkerState) -> None:
        if not may_follow(self.state, state):
            raise RuntimeError(f"a worker cannot go from {self.state} to {state}")
        self.state = state


def describe(error: BaseException) -> str:
    """A sentence on why a worker did not become ready."""
    if isinstance(error, WorkerDied):
        return f"the worker died while loading the model ({error})"
    return error.message if isinstance(error, ShoalError) else f"{type(error).__name__}: {error}"
