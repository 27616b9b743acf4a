"""Brings entries into memory and out again, and applies new routes to those that are there.

Replacing is make-before-break: the new version is started and probed beside the old one, then calls go to it, then the
old one is drained. If the new one fails, the old one goes on, and `why` says so. One thing at a time happens to an
entry (`Entry.change`); its callers wait in its `Waiting`, never in here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from shoal.core.call import Call, Dispatch
from shoal.core.clock import Clock
from shoal.core.errors import InternalError, NotFound, NotReady, ShoalError, Unavailable
from shoal.core.model import ModelSpec
from shoal.core.routes import Route
from shoal.core.tasks import Tasks
from shoal.serving.hosting.entry import Entry, MakeRunner, Prepared, Preparer, asleep_spec, slim
from shoal.serving.hosting.handle import Runner
from shoal.serving.hosting.journal import Journal
from shoal.serving.hosting.source import RouteSource
from shoal.serving.hosting.waiting import Waiting

logger = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds between a failed attempt to load a model and the next one that a call may cause."""
EARLIEST = 0.5
"""The part of its last load within which a model may be there: its files may be in memory now."""


class Asleep:
    """Where calls of a model go that is not in memory: the first one wakes it."""

    __slots__ = ("_entry", "_wake")

    def __init__(self, entry: Entry, wake: Callable[[Entry], Dispatch]) -> None:
        self._entry = entry
        self._wake = wake

    def submit(self, call: Call) -> None:
        self._wake(self._entry).submit(call)

    def cancel(self, call: Call) -> None:
        self._entry.dispatch.cancel(call)


class Lifecycle:
    """See the module.

    Args:
        source: where routes come from.
        preparer: brings files here.
        make_runner: makes the runner of a model.
        journal: remembers what happened.
        clock: monotonic seconds.
        count: told the error code of each call that is answered before any runner had it.
        drop: called when control says that there is no such address any more.
        at_once: how many models are brought up at the same time.
        sleep: how to wait.
    """

    def __init__(
        self,
        source: RouteSource,
        preparer: Preparer,
        make_runner: MakeRunner,
        *,
        journal: Journal,
        clock: Clock,
        count: Callable[[str], None],
        drop: Callable[[Entry], None],
        at_once: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._preparer = preparer
        self._make_runner = make_runner
        self._journal = journal
        self._clock = clock
        self._count = count
        self._drop = drop
        self._sleep = sleep
        self._gate = asyncio.Semaphore(at_once)
        self._tasks = Tasks()
        self.on_change: list[Callable[[Entry], None]] = []
        """Called when an entry has got another runner, or has none any more."""

    async def close(self) -> None:
        """End what is under way; calls that wait are told."""
        await self._tasks.close()

    def lay_down(self, entry: Entry) -> None:
        """From now on its calls wake it."""
        entry.dispatch = Asleep(entry, self.wake)

    async def resize(self, entry: Entry, workers: int, why: str) -> None:
        """Have so many workers from now on; 0 puts it to sleep."""
        entry.workers = workers
        if workers == 0:
            await self.put_to_sleep(entry, why)
        elif entry.runner is not None:
            entry.runner.resize(workers)
            entry.spec = _with_workers(entry.spec, workers)
            self._journal.note(entry.spec.name, "scaled", f"to {workers}: {why}")

    async def put_to_sleep(self, entry: Entry, why: str) -> None:
        """Drain and stop it; its next call wakes it."""
        async with entry.change:
            runner = entry.runner
            if runner is None:
                return
            self._journal.note(entry.spec.name, "evicted", why)
            prepared = self._lie_down(entry)
            await runner.drain()
            prepared.release()

    def wake(self, entry: Entry) -> Dispatch:
        """Begin to bring it up, unless it is there; where its calls go meanwhile."""
        if entry.runner is not None:
            return entry.dispatch
        if entry.pending is None:
            entry.pending = Waiting(
                entry.spec.name,
                lambda: self._nudge(entry),
                clock=self._clock,
                loop=asyncio.get_running_loop(),
                count=self._count,
                due=lambda: self._due(entry),
            )
            entry.dispatch = entry.pending
        self._nudge(entry)
        return entry.pending

    def _due(self, entry: Entry) -> float:
        """When it may be in memory at the earliest; 0 if nobody knows, as it was never loaded."""
        if not entry.load_seconds:
            return 0.0
        return (entry.woken or self._clock()) + EARLIEST * entry.load_seconds

    def _nudge(self, entry: Entry) -> None:
        """Start to bring it up, unless that goes on already or has failed just now."""
        if entry.waking is not None or entry.runner is not None:
            return
        wait = entry.retry_at - self._clock()
        if wait > 0:
            self._refuse_pending(entry, NotReady(_not_ready(entry), retry_after=wait))
            return
        entry.woken = self._clock()
        entry.waking = self._tasks.start(f"wake {entry.spec.name}", self._bring_up(entry))

    async def _bring_up(self, entry: Entry) -> None:
        try:
            async with entry.change, self._gate:
                route = await self._source.route(entry.key)
                await self._start(entry, route)
        except asyncio.CancelledError:
            entry.waking = None
            self._refuse_pending(entry, Unavailable("it was stopped while it was loading", retry_after=1.0))
            raise
        except NotFound as error:
            entry.waking = None
            self._drop(entry)
            self._refuse_pending(entry, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            entry.waking = None
            self._failed(entry, error)
        else:
            entry.waking = None
            entry.load_seconds = self._clock() - entry.woken
        finally:
            entry.woken = 0.0

    async def _start(self, entry: Entry, route: Route) -> None:
        """Bring up what the route says and send calls there; the runner before, if any, is drained.

        Raises:
            ShoalError: it cannot be; nothing has changed.
        """
        if route.target is None:
            raise NotReady(route.reason or "no version is served")
        prepared = await self._prepare(entry, route)
        if entry.workers and route.service.autoscaling is not None:
            prepared = Prepared(_with_workers(prepared.spec, entry.workers), prepared.release)
        runner = self._make_runner(prepared.spec, route, lambda why: self._evicted(entry, runner, why))
        try:
            await runner.start(all_ready=entry.runner is not None or prepared.spec.placement == "shared")
        except BaseException:
            await runner.stop()
            prepared.release()
            raise
        self._take_over(entry, route, prepared, runner)

    async def _prepare(self, entry: Entry, route: Route) -> Prepared:
        try:
            return await self._preparer.prepare(route, entry.key[1])
        except NotFound as error:  # a file of it: that does not mean that there is no such model
            raise NotReady(error.message, hint=error.hint) from error

    def _take_over(self, entry: Entry, route: Route, prepared: Prepared, runner: Runner) -> None:
        before, files = entry.spec.version, entry.prepared
        old = entry.serve(prepared.spec, runner)
        entry.route, entry.prepared = route, prepared
        entry.failures, entry.retry_at = 0, 0.0
        pending, entry.pending = entry.pending, None
        if pending is not None:
            pending.release(runner.dispatch)
        said = f"version {prepared.spec.version}" + (f" instead of {before}" if old is not None else "")
        self._journal.note(entry.spec.name, "rolled" if old is not None else "loaded", said)
        if old is not None and files is not None:
            self._tasks.start(f"drain {entry.spec.name}", _drain(old, files))
        self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        for tell in self.on_change:
            tell(entry)

    def _failed(self, entry: Entry, error: Exception) -> None:
        if not isinstance(error, ShoalError):
            logger.error("a model could not be brought up", exc_info=error, extra={"model": entry.spec.name})
            error = InternalError(f"{type(error).__name__}: {error}")
        entry.failures += 1
        entry.failure = error.message
        entry.retry_at = self._clock() + min(LAST_RETRY, FIRST_RETRY * 2 ** min(entry.failures - 1, 10))
        logger.error("model failed to load: %s", error, extra={"model": entry.spec.name, "version": entry.spec.version})
        self._journal.note(entry.spec.name, "failed", error.message)
        retry = max(entry.retry_at - self._clock(), 0.0)
        self._refuse_pending(entry, NotReady(_not_ready(entry), hint=error.hint, retry_after=retry))
        if entry.must_run:
            self._tasks.start(f"try {entry.spec.name} again", self._try_again(entry, entry.failures, retry))

    async def _try_again(self, entry: Entry, failures: int, seconds: float) -> None:
        """What runs without being called is tried without being called, too."""
        await self._sleep(seconds)
        if entry.must_run and entry.failures == failures and not entry.awake:
            entry.retry_at = 0.0
            self.wake(entry)

    def _refuse_pending(self, entry: Entry, error: ShoalError) -> None:
        if entry.pending is not None:
            entry.pending.fail(lambda: type(error)(error.message, hint=error.hint, retry_after=error.retry_after))

    async def apply(self, entry: Entry, route: Route) -> None:
        """A new route: what can be changed live is, the rest is rolled; what is asleep only learns of it."""
        async with entry.change:
            if route.target is None:
                await self._retire(entry, route)
            elif entry.runner is None or entry.route is None:
                entry.forget_failure()
                entry.spec = asleep_spec(entry.key, route)
            elif _what(route) != _what(entry.route):
                await self._start_or_note(entry, route)
            else:
                await self._change_live(entry, route)

    async def _start_or_note(self, entry: Entry, route: Route) -> None:
        """Roll; a failure keeps what was served.

        Raises:
            Unavailable: the files cannot be had just now; it is worth trying again.
        """
        try:
            await self._start(entry, route)
        except ShoalError as error:
            version = route.target.version if route.target else ""
            told = f"version {version} is not served, version {entry.spec.version} goes on: {error.message}"
            if told != entry.failure:
                logger.error("a roll was stopped: %s", told, extra={"model": entry.spec.name})
                self._journal.note(entry.spec.name, "roll_stopped", told)
            entry.failure = told
            if isinstance(error, Unavailable) and not isinstance(error, NotReady):
                raise

    async def _change_live(self, entry: Entry, route: Route) -> None:
        """Sizes and batching change without a new worker process having to prove itself."""
        assert entry.runner is not None
        assert entry.route is not None
        prepared = await self._preparer.prepare(route, entry.key[1])
        prepared.release()
        scaled = route.service.autoscaling is not None and entry.workers is not None
        workers = entry.workers if scaled and entry.workers else prepared.spec.limits.workers
        if not scaled:
            entry.workers = None
        if workers != entry.spec.limits.workers:
            entry.runner.resize(workers)
            self._journal.note(entry.spec.name, "scaled", f"to {workers}: by hand")
        if prepared.spec.batching != entry.spec.batching:
            entry.runner.configure(prepared.spec.batching)
        entry.spec = _with_workers(prepared.spec, workers)
        entry.route, entry.failure = route, ""
        if _least(route) == 0 and route.service.autoscaling is None:
            self._tasks.start(f"sleep {entry.spec.name}", self.put_to_sleep(entry, "it was scaled to 0"))

    async def _retire(self, entry: Entry, route: Route) -> None:
        runner = entry.runner
        if runner is None:
            entry.failure = route.reason
            return
        self._journal.note(entry.spec.name, "retired", route.reason)
        prepared = self._lie_down(entry)
        entry.failure = route.reason
        await runner.drain()
        prepared.release()

    async def remove(self, entry: Entry, why: str) -> None:
        """Control knows it no more: drain it, and forget it."""
        self._drop(entry)
        entry.must_run = False
        if entry.waking is not None:
            entry.waking.cancel()
        async with entry.change:
            runner, prepared = entry.runner, entry.prepared
            entry.retire(why)
            entry.route = entry.prepared = None
            self._journal.note(entry.spec.name, "retired", why)
            self._tell(entry)
            if runner is not None:
                await runner.drain()
            if prepared is not None:
                prepared.release()

    def _evicted(self, entry: Entry, runner: Runner, why: str) -> None:
        """It has lost its seat in a shared worker. If something of it is still under way, such as a request in
        quarantine, the runner stays: it takes a seat again when it needs one."""
        if entry.runner is not runner or runner.load().in_flight:
            return
        self._journal.note(entry.spec.name, "evicted", why)
        prepared = self._lie_down(entry)
        self._tasks.start(f"stop {entry.spec.name}", _stop(runner, prepared))

    def _lie_down(self, entry: Entry) -> Prepared:
        """From now on its calls wake it anew."""
        prepared = entry.prepared
        assert prepared is not None
        entry.runner = entry.route = entry.prepared = None
        entry.failure = ""
        entry.spec = slim(entry.spec)
        self.lay_down(entry)
        self._tell(entry)
        return prepared


def _with_workers(spec: ModelSpec, workers: int) -> ModelSpec:
    return msgspec.structs.replace(spec, limits=msgspec.structs.replace(spec.limits, workers=workers))


def _what(route: Route) -> tuple[object, ...]:
    """All of a route that needs other workers when it changes."""
    service = msgspec.structs.replace(
        route.service,
        replicas=1,
        autoscaling=None,
        batching={},
        description="",
        owner="",
        links={},
        tags={},
        ref="",
        latency_target_ms=None,
    )
    target = route.target
    return service, target and (target.version, target.digest), route.downloads, route.public, route.network


def _least(route: Route) -> int:
    return route.service.autoscaling.min_replicas if route.service.autoscaling else route.service.replicas


def _not_ready(entry: Entry) -> str:
    return f"model {entry.spec.name!r} is not ready: {entry.failure}"


async def _drain(runner: Runner, prepared: Prepared) -> None:
    await runner.drain()
    prepared.release()


async def _stop(runner: Runner, prepared: Prepared) -> None:
    await runner.stop()
    prepared.release()
