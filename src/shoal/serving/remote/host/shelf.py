"""All models that a host has in memory: loaded when the first proxy opens them, let go of a while after the last.

What is opened is looked for at the source each time, so that changed files are noticed: a model of the same name that
is made of something else is another one, and both run as long as proxies want them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from shoal.core.clock import Clock
from shoal.core.errors import ShoalError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.service import Device
from shoal.core.tasks import Tasks
from shoal.serving.remote.host.stock import Stock, Workers
from shoal.serving.remote.messages import Wanted

logger = logging.getLogger(__name__)

KEEP_SECONDS = 60.0
"""How long a model stays in memory when no proxy has it open: one that starts again finds it there."""
TICK = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """A model whose files are here.

    Attributes:
        spec: as it is to be run.
        release: lets go of the files.
        device: what each of its workers needs of the machine's accelerators.
    """

    spec: ModelSpec
    release: Callable[[], None] = lambda: None
    device: Device | None = None


class Source(Protocol):
    """Where a host has models from."""

    async def find(self, wanted: Wanted) -> Found:
        """The model that is wanted, and nothing else of that name.

        Raises:
            NotFound: there is none of this name.
            Conflict: what is here is something else.
            ShoalError: it cannot be had.
        """
        ...


MakeWorkers = Callable[[Found], Workers]


class Shelf:
    """See the module. Made inside a running event loop.

    Args:
        source: where models come from.
        make: makes a model's workers.
        metrics: of the process.
        clock: monotonic seconds.
        at_once: how many models load at the same time.
    """

    def __init__(self, source: Source, make: MakeWorkers, *, metrics: Metrics, clock: Clock, at_once: int = 4) -> None:
        self._source = source
        self._make = make
        self._clock = clock
        self._stocks: dict[Wanted, Stock] = {}
        self._releases: dict[Wanted, Callable[[], None]] = {}
        self._loading: dict[Wanted, asyncio.Task[Stock | ShoalError]] = {}
        self._gate = asyncio.Semaphore(at_once)
        self._tasks = Tasks()
        self._workers = metrics.gauge("shoal_host_workers", "Workers of a host that are ready.", ("model", "version"))
        self._deaths = metrics.counter(
            "shoal_host_worker_deaths_total", "Workers of a host that died unasked.", ("model", "version", "reason")
        )

    def start(self) -> None:
        """Look after what is here from now on."""
        self._tasks.start("look after models", self._watch())

    @property
    def stocks(self) -> Iterable[Stock]:
        """What is in memory."""
        return self._stocks.values()

    @property
    def loading(self) -> bool:
        """Whether something is on its way into memory."""
        return bool(self._loading)

    async def take(self, wanted: Wanted) -> Stock:
        """The model, loaded; several who ask at once share one load.

        Raises:
            ShoalError: it is not here, is something else, or cannot be loaded.
        """
        if (stock := self._stocks.get(wanted)) is not None:
            stock.idle_since = self._clock()
            return stock
        task = self._loading.get(wanted)
        if task is None:
            task = self._loading[wanted] = self._tasks.start(f"load {wanted.name}", self._try(wanted))
            task.add_done_callback(lambda _: self._loading.pop(wanted, None))
        outcome = await asyncio.shield(task)
        if isinstance(outcome, ShoalError):
            raise outcome
        return outcome

    async def _try(self, wanted: Wanted) -> Stock | ShoalError:
        try:
            return await self._load(wanted)
        except ShoalError as error:
            return error

    async def _load(self, wanted: Wanted) -> Stock:
        found = await self._source.find(wanted)
        try:
            async with self._gate:
                stock = Stock(self._make(found), clock=self._clock, on_death=self._counts_deaths(wanted))
                await stock.start()
        except BaseException:
            found.release()
            raise
        logger.info("model ready", extra={"model": wanted.name, "version": wanted.version})
        self._take_over(wanted, stock)
        self._stocks[wanted], self._releases[wanted] = stock, found.release
        return stock

    def _take_over(self, wanted: Wanted, stock: Stock) -> None:
        """What was kept of this version before is kept no more: its files are others now."""
        for known, before in self._stocks.items():
            if (known.name, known.version) == (wanted.name, wanted.version) and before.kept:
                before.kept, stock.kept = False, True

    def _counts_deaths(self, wanted: Wanted) -> Callable[[str], None]:
        return lambda reason: self._deaths.labels(wanted.name, wanted.version, reason).inc()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for wanted, stock in list(self._stocks.items()):
                stock.tell()
                self._workers.labels(wanted.name, wanted.version).value = stock.workers.ready
                if stock.unwanted and self._clock() - stock.idle_since >= KEEP_SECONDS:
                    await self._let_go(wanted)

    async def _let_go(self, wanted: Wanted) -> None:
        logger.info("nobody wants it any more", extra={"model": wanted.name, "version": wanted.version})
        self._workers.labels(wanted.name, wanted.version).value = 0
        stock, release = self._stocks.pop(wanted), self._releases.pop(wanted)
        await stock.stop()
        release()

    async def stop(self) -> None:
        """End all workers; what is under way is lost."""
        await self._tasks.close()
        for wanted in list(self._stocks):
            try:
                await self._let_go(wanted)
            except ShoalError as error:
                logger.warning("a model could not be let go of: %s", error)
