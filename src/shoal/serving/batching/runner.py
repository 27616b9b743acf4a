"""One model version, ready to be called: its batcher and its workers as one.

This is what hosting starts, swaps and drains. While workers are being started again, calls wait in the queue; only
when the pool says that no worker can be kept up are they told so.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, ModelSpec, ModelState
from shoal.serving.batching.batcher import Batcher
from shoal.serving.batching.instruments import Instruments, ModelInstruments
from shoal.serving.batching.ledger import Ledger
from shoal.serving.batching.load import Load, cpu_seconds
from shoal.serving.batching.waiting.queue import alike
from shoal.serving.batching.waiting.turns import WeightOf
from shoal.serving.batching.workers import ModelWorkers
from shoal.serving.pool.pool import Pool

logger = logging.getLogger(__name__)


class ModelRunner:
    """See the module. Made inside a running event loop.

    Args:
        spec: the model version.
        instruments: the node's metrics of batching.
        clock: monotonic seconds.
        command: how a worker is started; None: with the interpreter that the spec names.
        labels: model and version in the metrics, if they are to be told under another name.
        weight_of: tenants' shares of what the workers can do.
        workers: a seat in a shared pool, say; None: a pool of dedicated workers, started by `command`.

    Attributes:
        dispatch: where calls go.
        loaded: what the worker said of the model, once it has loaded it.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        instruments: Instruments,
        clock: Clock = monotonic,
        command: tuple[str, ...] | None = None,
        workers: ModelWorkers | None = None,
        labels: tuple[str, str] | None = None,
        weight_of: WeightOf = alike,
    ) -> None:
        self.spec = spec
        self.pool: ModelWorkers = Pool(spec, clock=clock, command=command) if workers is None else workers
        self._instruments = ModelInstruments(instruments, *(labels or (spec.name, spec.version)))
        self._ledger = Ledger(spec.name, self._instruments)
        self.dispatch = Batcher(
            spec.batching,
            workers=self.pool,
            quarantine_worker=self.pool.spare,
            ledger=self._ledger,
            instruments=self._instruments,
            clock=clock,
            loop=asyncio.get_running_loop(),
            pure=spec.pure,
            name=f"{spec.name}/{spec.version}",
            parallel=spec.limits.workers,
            weight_of=weight_of,
        )
        self.dispatch.refuse(partial(_not_ready, spec.name, "it is loading"))
        self.pool.on_room = self.dispatch.flush
        self.pool.on_change = self._pool_changed
        self.pool.on_death = self._instruments.restarted
        self._state = ModelState.LOADING
        self._reason = "it is loading"
        self._failed = False

    @property
    def state(self) -> ModelState:
        return self._state

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def loaded(self) -> Loaded | None:
        return self.pool.loaded

    async def start(self, *, all_ready: bool = False) -> None:
        """Return when the model is ready; with `all_ready` only when all of its workers are.

        Raises:
            ShoalError: it cannot be loaded; `stop` is still to be called.
        """
        try:
            await self.pool.start(all_ready=all_ready)
        except ShoalError as error:
            self._enter(ModelState.UNAVAILABLE, error.message)
            raise
        self._keep_apart()
        self._enter(ModelState.READY, "")

    def resize(self, workers: int) -> None:
        """Have so many workers from now on; no call is lost."""
        self.pool.resize(workers)
        self.dispatch.share(max(workers, 1))

    def _keep_apart(self) -> None:
        if self.pool.loaded is not None and not self.pool.loaded.batchable:
            self.dispatch.keep_apart()

    def configure(self, batching: Batching) -> None:
        """Collate like this from now on."""
        self.dispatch.configure(batching)

    async def drain(self) -> None:
        """Refuse new calls, finish those that were accepted, then stop."""
        self._enter(ModelState.UNLOADING, "it is being unloaded")
        await self.dispatch.drained()
        await self.pool.drain()
        await self.stop()

    async def stop(self) -> None:
        """Stop now; whoever waits gets an error."""
        self._failed = False
        if self._state is not ModelState.UNAVAILABLE:
            self._enter(ModelState.UNAVAILABLE, "it was stopped")
        self.dispatch.fail_all(partial(_not_ready, self.spec.name, self._reason))
        await self.pool.stop()
        self.dispatch.close()

    def statistics(self) -> dict[str, object]:
        """The fields of V2 statistics, without name and version."""
        return self._ledger.statistics.to_json()

    def load(self) -> Load:
        """What it has had to do so far; for scaling."""
        histogram = self._instruments.request_seconds
        statistics, processes = self._ledger.statistics, self.pool.processes()
        return Load(
            in_flight=self.dispatch.in_flight,
            requests=statistics.success.count + statistics.failure.count,
            counts=tuple(histogram.counts),
            bounds=histogram.bounds,
            cpu_seconds=cpu_seconds(processes) if processes else None,
            ready=self.pool.ready,
        )

    def explain(self) -> dict[str, object]:
        """Facts for `why`: where it runs, and where the time of its requests goes."""
        loaded = self.pool.loaded
        facts = {**self.pool.explain(), "time": self._ledger.statistics.means()}
        if loaded is None:
            return facts
        facts |= {"load_seconds": loaded.seconds, "memory_bytes": loaded.memory_bytes}
        return facts if loaded.batchable else {**facts, "batch_reason": loaded.batch_reason}

    def update_gauges(self) -> None:
        """Bring the metrics that tell of now up to date; called when they are read."""
        self.dispatch.update_gauges()

    def _pool_changed(self) -> None:
        self._instruments.workers.value = self.pool.ready
        self._keep_apart()
        if self._state is ModelState.READY and self.pool.failure:
            self._failed = True
            self._enter(ModelState.UNAVAILABLE, self.pool.failure)
            self.dispatch.fail_all(partial(_not_ready, self.spec.name, self._reason))
        elif self._failed and self.pool.ready and not self.pool.failure:
            self._failed = False
            self._enter(ModelState.READY, "")

    def _enter(self, state: ModelState, reason: str) -> None:
        self._state, self._reason = state, reason
        ready = state is ModelState.READY
        self.dispatch.refuse(None if ready else partial(_not_ready, self.spec.name, reason))


def _not_ready(name: str, why: str) -> NotReady:
    return NotReady(f"model {name!r} is not ready: {why}", retry_after=1.0)
