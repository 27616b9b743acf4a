"""One worker process of a pool, from its start to its end, and the models in it.

`start` returns when the process can be given models; `load` when one of them is loaded. Jobs are answered in order, so
the first one without an answer is the one being worked on: when the worker dies it is the suspect, and those behind it
are innocent, as are all other models. A job that takes longer than its model's limit, or a load that does, gets the
worker killed. Every job ends in `done` or `lost`, every load in a value or an error.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from shoal.core.clock import Clock
from shoal.core.errors import NotReady
from shoal.core.ipc import messages
from shoal.core.model import ModelSpec
from shoal.serving.pool.asked import Asked
from shoal.serving.pool.backlog import Backlog
from shoal.serving.pool.jobs import Job
from shoal.serving.pool.processes.channel import Channel, socket_pair
from shoal.serving.pool.processes.process import Launch, WorkerProcess
from shoal.serving.pool.supervisor import WorkerState, may_follow

logger = logging.getLogger(__name__)

STOP_GRACE = 5.0
"""Seconds for a worker to exit after it was asked to."""
EOF_GRACE = 0.2
"""Seconds between a worker's hanging up and its exit, or the other way round."""
WORN_MEMORY = 0.8
"""Share of the memory limit above which a worker is replaced between two batches."""


class WorkerDied(Exception):
    """The worker has ended before it did what it was asked; the argument is the reason label."""


def _ignore(model: int) -> None:
    return


@dataclass(slots=True, kw_only=True)
class Hooks:
    """What the pool wants to know of its members."""

    on_room: Callable[[], None]
    """A job has ended, or the number of free slots has changed otherwise."""
    on_end: Callable[[Member, str], None]
    """The worker is no more; its jobs are lost right after this."""
    on_job_end: Callable[[int], None] = _ignore
    """A job of the model of this number has ended; its owner is told right after this."""


class Member:
    """See the module.

    Args:
        launch: how to start the process.
        hooks: see there.
        clock: monotonic seconds.
        max_requests: requests after which it is worn, or None.

    Attributes:
        jobs: what was sent and is not answered, the one at work first.
        worn: set when it should be replaced by a fresh one.
        ended: the reason label of its end, once it is there.
        expected: whether its end was asked for.
        memory_bytes: the resident memory that it has told of last.
    """

    def __init__(self, launch: Launch, hooks: Hooks, clock: Clock, *, max_requests: int | None = None) -> None:
        self.name = launch.model
        self.state = WorkerState.STARTING
        self._backlog = Backlog(self._hangs, clock)
        self.jobs = self._backlog.jobs
        self.worn = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.process: WorkerProcess | None = None
        self.expected = False
        self.memory_bytes = 0
        self._launch = launch
        self._hooks = hooks
        self._clock = clock
        self._max_requests = max_requests
        self._channel = Channel(self._on_message, self._on_channel_end)
        self._hello: asyncio.Future[messages.Hello] = asyncio.get_running_loop().create_future()
        self._loads: Asked[messages.Loaded] = Asked()
        self._unloads: Asked[messages.Unloaded] = Asked()
        self._exit_reason: str | None = None
        self._served = 0
        self._stop_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    async def start(self, seconds: float) -> messages.Hello:
        """Start the process; return when it can be given models.

        Args:
            seconds: how long that may take.

        Raises:
            WorkerDied: the process ended meanwhile.
            ShoalError: it could not be started, or not in time; it is killed.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._spawn()
                hello = await asyncio.shield(self._hello)
        except OSError as error:  # TimeoutError is one
            self.kill("not_started")
            said = f"it took longer than {seconds:g} seconds" if isinstance(error, TimeoutError) else str(error)
            raise NotReady(f"a worker could not be started: {said}") from error
        except BaseException:
            self.kill("not_started")
            raise
        self.memory_bytes = hello.memory_bytes
        return hello

    async def _spawn(self) -> None:
        ours, theirs = socket_pair()
        try:
            self.process = WorkerProcess(self._launch, theirs, self._on_exit, clock=self._clock)
        except OSError:
            ours.close()
            raise
        connected = asyncio.ensure_future(self._connect(ours, self.process))
        try:
            await asyncio.shield(connected)
        except asyncio.CancelledError:
            await connected  # a matter of moments, and without it nobody would hear of the end
            raise

    async def _connect(self, ours: socket.socket, process: WorkerProcess) -> None:
        await self._channel.open(ours)
        await process.read_output()

    async def load(self, model: int, spec: ModelSpec, known: messages.Loaded | None = None) -> messages.Loaded:
        """Load a model under this number; those that are loaded already go on meanwhile if the worker is a shared one.

        Args:
            model: not in use in this worker.
            spec: what to load.
            known: what was said of the same files before.

        Raises:
            WorkerDied: the process ended meanwhile.
            ShoalError: the model cannot be loaded, or not in time: then the worker is killed, as nothing else helps.
        """
        seconds = spec.limits.load_seconds
        loaded = self._loads.expect(model)
        self._channel.send(messages.Load(model, spec, known))
        try:
            async with asyncio.timeout(seconds):
                return await loaded
        except TimeoutError as error:
            self.kill("load_hang")
            hint = "raise `limits.load_seconds` if it needs longer"
            raise NotReady(f"loading took longer than {seconds:g} seconds", hint=hint) from error

    async def unload(self, model: int) -> messages.Unloaded:
        """Let go of a model, after the jobs that were sent before.

        Raises:
            WorkerDied: the process ended meanwhile; that did it.
        """
        unloaded = self._unloads.expect(model)
        self._channel.send(messages.Unload(model))
        return await unloaded

    async def open(self) -> None:
        """Take jobs from now on.

        Raises:
            WorkerDied: the process has ended.
        """
        if self._channel.ended or self._exit_reason is not None:
            raise WorkerDied(await asyncio.shield(self.ended))
        self._enter(WorkerState.READY)
        self._hooks.on_room()

    def send(self, job: Job, model: int, seconds: float) -> None:
        """Give it a job; it must be ready.

        Args:
            job: see there.
            model: a loaded one.
            seconds: how long it may run.
        """
        sent = self._backlog.add(job, model, seconds)
        self._channel.send_batch(sent.number, model, job.calls, job.max_size)

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
            case messages.Loaded(model=model) if self._loads.answer(model, message):
                return
            case messages.LoadFailed(model=model, error=record) if self._loads.fail(model, record.to_error()):
                return
            case messages.Unloaded(model=model) if self._unloads.answer(model, message):
                self.memory_bytes = message.memory_bytes
            case messages.Hello() if not self._hello.done():
                if self.process is not None:
                    self.process.confined(message.missing)
                self._hello.set_result(message)
            case _:
                logger.warning("unexpected message", extra={"model": self.name, "kind": type(message).__name__})

    def _on_done(self, done: messages.Done, payload: bytes | bytearray) -> None:
        if not self._backlog.fits(done, payload):
            logger.error("answer of a worker of %s does not fit its batch", self.name)
            self.kill("protocol")
            return
        sent = self._backlog.answered()
        self._served += len(sent.job.calls)
        self._check_wear(done)
        self._hooks.on_job_end(sent.model)
        if not self.jobs and self.state is WorkerState.DRAINING:
            self._ask_to_stop()
        self._hooks.on_room()
        sent.job.owner.done(sent.job, done, payload)

    def _check_wear(self, done: messages.Done) -> None:
        self.memory_bytes, limit = done.memory_bytes, self._launch.memory_bytes
        if (self._max_requests is not None and self._served >= self._max_requests) or (
            limit is not None and done.memory_bytes > WORN_MEMORY * limit
        ):
            self.worn.set()

    def _hangs(self) -> None:
        if self._exit_reason is None:
            logger.error("worker of %s hangs, killed", self.name, extra={"pid": self.pid})
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
        self._backlog.close()
        if self._stop_timer is not None:
            self._stop_timer.cancel()
        self.ended.set_result(reason)
        self._give_up(WorkerDied(reason))
        self._hooks.on_end(self, reason)
        self._backlog.lose(reason, self._hooks.on_job_end)
        self._hooks.on_room()

    def _give_up(self, died: WorkerDied) -> None:
        """Whoever waits for something else than a job is told."""
        self._loads.fail_all(died)
        self._unloads.fail_all(died)
        if not self._hello.done():
            self._hello.set_exception(died)
            self._hello.exception()  # it may be that nobody waits any more

    def _enter(self, state: WorkerState) -> None:
        if not may_follow(self.state, state):
            raise RuntimeError(f"a worker cannot go from {self.state} to {state}")
        self.state = state
