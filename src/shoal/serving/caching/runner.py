"""A runner with a prediction cache in front of it: calls go to the cache first, all else is the runner's own matter."""

from __future__ import annotations

from shoal.core.call import Dispatch
from shoal.core.clock import Clock
from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, ModelSpec, ModelState
from shoal.serving.batching.load import Load
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.batching.workers import Loop
from shoal.serving.caching.dispatch import CachingDispatch
from shoal.serving.caching.instruments import CacheInstruments
from shoal.serving.caching.store import Share


class CachedRunner:
    """See the module.

    Args:
        inner: the runner.
        spec: of its model.
        prefix, public, seconds, share, instruments, clock, loop: see `CachingDispatch`.
    """

    def __init__(
        self,
        inner: ModelRunner,
        spec: ModelSpec,
        *,
        prefix: bytes,
        public: bool = False,
        seconds: float,
        share: Share,
        instruments: CacheInstruments,
        clock: Clock,
        loop: Loop,
    ) -> None:
        self.inner = inner
        self._share = share
        self._cache = CachingDispatch(
            inner.dispatch,
            prefix=prefix,
            public=public,
            seconds=seconds,
            share=share,
            instruments=instruments,
            clock=clock,
            loop=loop,
            name=spec.name,
            version=spec.version,
        )

    @property
    def dispatch(self) -> Dispatch:
        return self._cache

    @property
    def loaded(self) -> Loaded | None:
        return self.inner.loaded

    @property
    def state(self) -> ModelState:
        return self.inner.state

    @property
    def reason(self) -> str:
        return self.inner.reason

    async def start(self, *, all_ready: bool = False) -> None:
        await self.inner.start(all_ready=all_ready)

    async def drain(self) -> None:
        await self.inner.drain()
        self._end()

    async def stop(self) -> None:
        await self.inner.stop()
        self._end()

    def configure(self, batching: Batching) -> None:
        self.inner.configure(batching)

    def resize(self, workers: int) -> None:
        self.inner.resize(workers)

    def statistics(self) -> dict[str, object]:
        return self.inner.statistics()

    def load(self) -> Load:
        return self.inner.load()

    def explain(self) -> dict[str, object]:
        return {**self.inner.explain(), "cache_bytes": self._share.bytes}

    def _end(self) -> None:
        self._cache.close()
        self._share.clear()
