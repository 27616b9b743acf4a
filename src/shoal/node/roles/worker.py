"""A host of workers: models in worker processes, for proxies elsewhere. It batches nothing and has no data port."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from shoal.control.folder import Problem
from shoal.core.clock import monotonic
from shoal.core.errors import ShoalError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.monitor.exposition import expose
from shoal.node.confining import confiner_of
from shoal.node.content.lenders import Lenders
from shoal.node.roles.operations import Operations
from shoal.node.roles.peers import listen
from shoal.node.roles.sources import FileSource, HostSource
from shoal.serving.hosting.folder import FolderModels
from shoal.serving.pool.pool import Pool
from shoal.serving.remote import WorkerHost
from shoal.serving.remote.host.shelf import Found
from shoal.serving.remote.messages import Wanted

logger = logging.getLogger(__name__)


class WorkerNode:
    """See the module; a `running.Role`. Made inside a running event loop.

    Args:
        settings: of the host.
        paths: model files, model folders, or folders full of them; none: what the registry knows.

    Attributes:
        url: where it listens for proxies.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path]) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._confiner = confiner_of(settings, self.metrics)
        self._lenders = Lenders(settings)
        self._source: HostSource = _source(settings, paths)
        self._host = WorkerHost(self._source, self._make, name=settings.name, metrics=self.metrics)
        self._loaded = False
        self._operations = Operations(settings, _Itself(self), self.metrics, self._own) if settings.operations else None
        self.url = settings.listen or ""

    @property
    def problems(self) -> Sequence[Problem]:
        return self._source.problems

    @property
    def ready(self) -> bool:
        """Whether what is to be here from the start is."""
        return self._loaded and not self._host.draining

    async def start(self) -> None:
        """Listen, then load what is to be there from the start; return when each model is ready or has failed.

        Raises:
            ConfigError: nothing to serve, or the place to listen at cannot be had.
        """
        first = await self._source.start()
        if self._operations:
            await self._operations.start()
        self.url = await listen(self._host, self.settings, role="host of workers", guests="proxies")
        for wanted in first:
            await self._keep(wanted)
        self._loaded = True

    async def stop(self, grace: float) -> bool:
        """See `running.Role`: proxies are told, what they have sent is finished."""
        if self._operations:
            self._operations.draining()
        whole = await self._host.drain(grace)
        await self._host.close()
        await self._source.stop()
        if self._confiner is not None:
            self._confiner.close()
        if self._operations:
            await self._operations.stop()
        return whole

    async def _keep(self, wanted: Wanted) -> None:
        try:
            stock = await self._host.shelf.take(wanted)
        except ShoalError as error:
            logger.error("model failed to load: %s", error, extra={"model": wanted.name, "version": wanted.version})
        else:
            stock.kept = True

    def _make(self, found: Found) -> Pool:
        spec = self._source.adjusted(found.spec)
        lend = self._lenders.lend(spec.name, found.device)
        return Pool(spec, clock=monotonic, lend=lend, confiner=self._confiner)

    def _own(self) -> tuple[bytes, bytes]:
        return expose(self.metrics)


class _Itself(FolderModels):
    """The host as its operators' port sees it: no model is asked there."""

    def __init__(self, node: WorkerNode) -> None:
        super().__init__(_never, lambda name, config: [])
        self._node = node

    def ready(self) -> bool:
        return self._node.ready


def _never(spec: ModelSpec) -> NoReturn:
    raise RuntimeError("a host of workers answers no requests")


def _source(settings: NodeSettings, paths: Sequence[Path]) -> HostSource:
    if paths:
        return FileSource(settings, paths)
    from shoal.node.roles.registered import RegistrySource

    return RegistrySource(settings)
