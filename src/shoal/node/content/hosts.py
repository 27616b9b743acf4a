"""A `ModelSpec` becomes something that runs: workers of its own, or a seat in a shared pool; with a prediction cache
in front of it where its service asks for one.

A model without a service is told in the metrics under its pool's name: a node may serve a hundred thousand of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.routes import Route
from shoal.core.settings.node import GIB, NodeSettings, PoolSettings, default_memory, default_workers
from shoal.core.settings.tenants import weight_of
from shoal.node.confining import confiner_of
from shoal.node.content.elsewhere import crew_of, runner_elsewhere
from shoal.node.content.lenders import Lenders
from shoal.node.content.pools import PoolInstruments
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.caching import eligible
from shoal.serving.caching.instruments import CacheFamilies, CacheInstruments
from shoal.serving.caching.runner import CachedRunner
from shoal.serving.caching.store import AnswerStore
from shoal.serving.hosting.handle import Runner
from shoal.serving.pool.confining.confiner import Cell
from shoal.serving.pool.confining.needs import Needs
from shoal.serving.pool.pool import Pool
from shoal.serving.pool.processes.interpreters import worker_command
from shoal.serving.pool.shared.pool import SharedPool
from shoal.serving.pool.shared.sharing import SharedSettings
from shoal.serving.remote import Crew

logger = logging.getLogger(__name__)

SQUEEZE = 8
"""By how much the prediction cache is smaller while memory is tight."""


class Hosts:
    """Makes runners; owns the shared pools, the accelerators and the prediction cache of a node.

    Args:
        settings: of the node.
        metrics: of the node.
    """

    def __init__(self, settings: NodeSettings, metrics: Metrics) -> None:
        self._settings = settings
        self.confiner = confiner_of(settings, metrics)
        self._crew = crew_of(settings, metrics)
        self._instruments = Instruments(metrics)
        self._pool_instruments = PoolInstruments(metrics)
        self._cache_families = CacheFamilies(metrics)
        self._answers = AnswerStore(settings.answers)
        self._weight_of = weight_of(settings.tenants)
        self._pools: dict[tuple[str, str], SharedPool] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._lenders = Lenders(settings)

    async def start(self) -> None:
        """Start the shared pools, unless workers are elsewhere; return when each has a worker.

        Raises:
            NotReady: workers cannot be started here.
        """
        if self._crew is not None:
            await self._crew.start()
            return
        await asyncio.gather(*(self._pool(name, "").start() for name in self._settings.pools))

    async def stop(self) -> None:
        """End the shared pools; what had seats there is to be stopped before."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, *(pool.stop() for pool in self._pools.values()), return_exceptions=True)
        if self._crew is not None:
            await self._crew.close()
        if self.confiner is not None:
            self.confiner.close()

    def make(self, spec: ModelSpec, route: Route, on_evicted: Callable[[str], None]) -> Runner:
        """See `serving.hosting.entry.MakeRunner`.

        Raises:
            ConfigError: it asks for a pool that this node does not have.
        """
        if self._crew is not None:
            runner = self._elsewhere(self._crew, spec, route, on_evicted)
        elif spec.placement == "shared":
            runner = self._seated(spec, route, on_evicted)
        else:
            runner = self._dedicated(spec, route)
        return self._cached(runner, spec, route)

    def shrink(self, small: bool) -> None:
        """Keep fewer answers while memory is tight."""
        self._answers.resize(self._settings.answers // (SQUEEZE if small else 1))

    def update_metrics(self) -> None:
        """Bring the metrics of the pools up to date."""
        self._pool_instruments.update(self._pools.values())

    def _dedicated(self, spec: ModelSpec, route: Route) -> ModelRunner:
        if variables := self._settings.worker_variables:
            spec = msgspec.structs.replace(spec, environment={**spec.environment, **variables})
        workers = Pool(
            spec, clock=monotonic, lend=self._lenders.lend(spec.name, route.service.device), confiner=self.confiner
        )
        return ModelRunner(
            spec, instruments=self._instruments, clock=monotonic, workers=workers, weight_of=self._weight_of
        )

    def _seated(self, spec: ModelSpec, route: Route, on_evicted: Callable[[str], None]) -> ModelRunner:
        seat = self._pool_of(spec).seat(spec)
        seat.on_evicted = on_evicted
        labels = (f"pool:{spec.pool}", "") if route.implicit else None
        return ModelRunner(
            spec,
            instruments=self._instruments,
            clock=monotonic,
            workers=seat,
            labels=labels,
            weight_of=self._weight_of,
        )

    def _elsewhere(self, crew: Crew, spec: ModelSpec, route: Route, on_evicted: Callable[[str], None]) -> ModelRunner:
        """Workers of its own at each host, also for a model that would have a seat here: it is let go of like one."""
        pool = self._settings.pools.get(spec.pool)
        idle = pool.idle_seconds if pool and spec.placement == "shared" and not spec.pinned else None
        return runner_elsewhere(
            spec,
            crew,
            instruments=self._instruments,
            weight_of=self._weight_of,
            labels=(f"pool:{spec.pool}", "") if route.implicit else None,
            spread=True,
            idle_seconds=idle,
            on_idle=on_evicted,
        )

    def _pool_of(self, spec: ModelSpec) -> SharedPool:
        """The pool that a model asks for; of its own environment, if it has one."""
        if spec.pool not in self._settings.pools:
            known = ", ".join(sorted(self._settings.pools))
            raise ConfigError(f"this node has no pool {spec.pool!r}", hint=f"it has: {known}", field="pool")
        if spec.network and not self._may_use_network(spec.pool):
            hint = f"set `pools.{spec.pool}.network`, or give it workers of its own"
            raise ConfigError(f"it asks for the network, which pool {spec.pool!r} has not", hint=hint, field="network")
        if spec.network is False and self.confiner is not None and self._may_use_network(spec.pool):
            hint = "give it workers of its own, or another pool"
            raise ConfigError(f"it may not use the network, which pool {spec.pool!r} has", hint=hint, field="network")
        pool = self._pools.get((spec.pool, spec.python))
        if pool is None:
            pool = self._pool(spec.pool, spec.python)
            task = asyncio.get_running_loop().create_task(pool.start(), name=f"start pool {pool.name}")
            self._starting.add(task)
            task.add_done_callback(self._started)
        return pool

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a shared pool could not be started: %s", error)

    def _pool(self, name: str, python: str) -> SharedPool:
        settings = shared_settings(self._settings.pools[name], self._settings.worker_variables)
        pool = SharedPool(
            name,
            settings,
            clock=monotonic,
            command=worker_command(python),
            file_bytes=size_of_files,
            confine=self._confine(name),
        )
        self._pools[name, python] = pool
        return pool

    def _confine(self, pool: str) -> Callable[[], Cell] | None:
        """What a pool's workers are confined to: the files of all models that are here, as any of them may be next."""
        if self.confiner is None:
            return None
        needs = Needs(readable=(str(self._settings.folder / "cache"),), network=self._asks_for_network(pool))
        return partial(self.confiner.cell, needs)

    def _may_use_network(self, pool: str) -> bool:
        return self.confiner is None or self.confiner.rules.grants_network(self._asks_for_network(pool))

    def _asks_for_network(self, pool: str) -> bool | None:
        return self._settings.pools[pool].network or None

    def _cached(self, runner: ModelRunner, spec: ModelSpec, route: Route) -> Runner:
        cache = route.service.cache
        if cache is None:
            return runner
        if why_not := eligible.why_not(spec):
            logger.warning("no prediction cache: %s", why_not, extra={"model": spec.name})
            return runner
        instruments = CacheInstruments(self._cache_families, spec.name, spec.version)
        return CachedRunner(
            runner,
            spec,
            prefix=eligible.prefix_of(spec, public=route.public),
            public=route.public,
            seconds=cache.seconds,
            share=self._answers.share(cache.bytes, instruments),
            instruments=instruments,
            clock=monotonic,
            loop=asyncio.get_running_loop(),
        )


def shared_settings(settings: PoolSettings, environment: Mapping[str, str]) -> SharedSettings:
    """A pool's settings, with what is not said taken from the machine, and the variables of its workers."""
    workers = settings.workers or default_workers()
    memory = settings.memory or default_memory(workers)
    return SharedSettings(
        workers=workers,
        memory_bytes=memory,
        limit_bytes=settings.limit or memory + memory // 4 + GIB,
        max_models=settings.max_models,
        idle_seconds=settings.idle_seconds,
        preload=settings.preload,
        shard=settings.models_per_tenant,
        environment=environment,
    )


def size_of_files(path: str) -> int:
    """Bytes of a model's files: the first guess at what it takes in memory."""
    root = Path(path)
    try:
        return sum(each.stat().st_size for each in (root.rglob("*") if root.is_dir() else (root,)) if each.is_file())
    except OSError:
        return 0
