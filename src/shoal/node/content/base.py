"""What a node or a proxy serves: the models of files (`files`), or those of a registry (`routed`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from shoal.control.folder import Problem
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.core.settings.node import NodeSettings
from shoal.monitor.exposition import expose
from shoal.node.apps import Apps
from shoal.serving.batching.runner import ModelRunner


class Content(Protocol):
    """See the module.

    Attributes:
        models: as the gateway sees them.
        apps: full-custom apps beside them.
        problems: what cannot be served, and why.
    """

    @property
    def models(self) -> Models: ...

    @property
    def apps(self) -> Apps: ...

    @property
    def problems(self) -> Sequence[Problem]: ...

    def check(self) -> None:
        """Look at what there is, before the port is taken.

        Raises:
            ConfigError: there is nothing to serve.
        """

    async def start(self, url: str) -> None:
        """Load what is to be there from the start; `url` is where this process answers."""

    async def settle(self) -> None:
        """End what follows changes: nothing is loaded or replaced any more."""

    async def stop(self, grace: float) -> None:
        """Finish what was accepted within `grace` seconds; then end everything."""

    def runners(self) -> Iterable[ModelRunner]:
        """What runs now, for the metrics."""
        ...


def content_of(settings: NodeSettings, metrics: Metrics, paths: Sequence[Path]) -> Content:
    """The content that paths, or their absence, mean for a node that is one process."""
    if paths:
        from shoal.node.content.files import Files

        return Files(settings, metrics, paths)
    from shoal.node.content.routed import Routed

    return Routed(settings, metrics)


def metrics_of(content: Content, metrics: Metrics) -> tuple[bytes, bytes]:
    """The metrics of a process with this content, brought up to date, as text; and its content type."""
    for runner in content.runners():
        runner.update_gauges()
    return expose(metrics)
