"""One address that control knows, and what is needed to bring it into memory and out again.

    asleep ──call, pin──▶ waking (its calls wait) ──▶ serving ──evicted, idle──▶ asleep
                             └──▶ failed (callers are told why; tried again after a back-off)

What is asleep costs a few hundred bytes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from shoal.core.model import Batching, Limits, ModelSpec, ModelState
from shoal.core.routes import Route, ServiceStatus
from shoal.serving.hosting.handle import Hosted, Runner
from shoal.serving.hosting.state import Key
from shoal.serving.hosting.waiting import Waiting

ASLEEP = "not in memory: the next request loads it"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model whose files are here.

    Attributes:
        spec: as it is to be run.
        release: lets go of the files.
    """

    spec: ModelSpec
    release: Callable[[], None]


class Preparer(Protocol):
    """Brings the files of a route to this machine, and says how they are to be run."""

    async def prepare(self, route: Route, version: str) -> Prepared:
        """Raises a `ShoalError` if it cannot be. `version` is what the caller named, or ""."""
        ...


class MakeRunner(Protocol):
    """Makes the batcher and the workers of a model."""

    def __call__(self, spec: ModelSpec, route: Route, on_evicted: Callable[[str], None]) -> Runner:
        """`on_evicted` is told why the model has lost its place in a shared worker; nothing of it is in flight."""
        ...


class Entry(Hosted):
    """One address, or a version that a caller named.

    Attributes:
        key: address and version.
        must_run: whether it is kept up without being called.
        route: while it is awake, what it was made from.
        retry_at: after a failure, when the next call may try again (monotonic seconds).
        workers: as scaled by need, or None: as the route says.
        pending: the calls that wait while it wakes.
        load_seconds: what it took to wake it the last time; 0 if it was never awake.
        woken: while it wakes, when that began (monotonic seconds).
    """

    __slots__ = (
        "failures",
        "key",
        "load_seconds",
        "must_run",
        "pending",
        "prepared",
        "retry_at",
        "route",
        "waking",
        "woken",
        "workers",
    )

    def __init__(self, key: Key, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.key = key
        self.must_run = False
        self.failure = ""
        self.route: Route | None = None
        self.prepared: Prepared | None = None
        self.pending: Waiting | None = None
        self.waking: asyncio.Task[None] | None = None
        self.retry_at = 0.0
        self.failures = 0
        self.load_seconds = self.woken = 0.0
        self.workers: int | None = None

    @property
    def awake(self) -> bool:
        """Whether it is in memory, or on its way there."""
        return self.runner is not None or self.waking is not None

    @property
    def state(self) -> ModelState:
        if self.runner is not None:
            return self.runner.state
        if self.waking is not None:
            return ModelState.LOADING
        return ModelState.UNAVAILABLE if self.failure else ModelState.READY

    @property
    def reason(self) -> str:
        if self.runner is not None:
            return self.runner.reason
        return "it is loading" if self.waking is not None else self.failure or ASLEEP

    def forget_failure(self) -> None:
        """Whatever kept it from being loaded may be over: the next call tries."""
        self.failure, self.retry_at, self.failures = "", 0.0, 0

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        facts = super().explain()
        if self.failure:
            facts["failure"] = self.failure
        if self.pending is not None and len(self.pending):
            facts["waiting"] = len(self.pending)
        return facts

    def status(self) -> ServiceStatus:
        """How it does, for control."""
        facts = self.runner.explain() if self.runner is not None else {}
        ready = facts.get("workers_ready", 0)
        return ServiceStatus(
            address=self.key[0],
            state=self.state.value,
            version=self.spec.version,
            wanted=self.spec.limits.workers if self.runner is not None else 0,
            ready=ready if isinstance(ready, int) else 0,
            reason=self.failure or self.reason,
        )


_BATCHING = Batching()
_LIMITS: dict[float, Limits] = {}
"""One for all models with the same time limit."""


def asleep_spec(key: Key, route: Route) -> ModelSpec:
    """What is known of a model before its files are here."""
    target, service = route.target, route.service
    return _small(
        key[0],
        version=target.version if target is not None else key[1],
        runtime=target.runtime if target is not None else "",
        placement="shared" if key[1] else service.placement,
        seconds=service.timeout_seconds or Limits().timeout_seconds,
    )


def slim(spec: ModelSpec) -> ModelSpec:
    """What is kept of a model's spec while it is not in memory: there may be very many.

    Whether its requests may run twice is kept, as those who pass on the one that wakes it go by that.
    """
    return _small(
        spec.name,
        version=spec.version,
        runtime=spec.runtime,
        placement=spec.placement,
        seconds=spec.limits.timeout_seconds,
        pure=spec.pure,
    )


def _small(
    name: str,
    *,
    version: str,
    runtime: str,
    placement: Literal["dedicated", "shared"],
    seconds: float,
    pure: bool = True,
) -> ModelSpec:
    limits = _LIMITS.get(seconds)
    if limits is None:
        limits = Limits(timeout_seconds=seconds)
        if len(_LIMITS) < 1000:
            _LIMITS[seconds] = limits
    return ModelSpec(
        name=name,
        path="",
        runtime=sys.intern(runtime),
        version=sys.intern(version),
        placement=placement,
        pure=pure,
        batching=_BATCHING,
        limits=limits,
    )
