"""Everything that every node has: one port, the application behind it, metrics; start and stop.

What is served comes from a `Content`: files (`files`) or a registry (`routed`).
"""

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
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.sockets.listener import Listener
from shoal.serving.gateway.sockets.tls import server_context


class Content(Protocol):
    """What a node serves.

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
        """Load what is to be there from the start; `url` is where this node answers."""

    async def settle(self) -> None:
        """End what follows changes: nothing is loaded or replaced any more."""

    async def stop(self, grace: float) -> None:
        """Finish what was accepted within `grace` seconds; then end everything."""

    def runners(self) -> Iterable[ModelRunner]:
        """What runs now, for the metrics."""
        ...


class Node:
    """One port and what is served on it. Made inside a running event loop.

    Args:
        settings: of the node.
        paths: model files, model folders, or folders full of them; none: what the registry knows.

    Attributes:
        models: what is served.
        problems: what of the paths cannot be served, and why.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path]) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._content = _content(settings, self.metrics, paths)
        self.models = self._content.models
        self._application = Application(
            self.models, metrics=self.metrics, expose=self._expose, apps=self._content.apps.proxies, rest=settings.rest
        )
        self._listener = Listener(
            host=settings.host,
            port=settings.port,
            http=self._application.http,
            rpc=self._application.rpc,
            limits=settings.wire_limits,
            metrics=self.metrics,
            ssl_context=server_context(settings.tls_cert, settings.tls_key) if settings.tls_cert else None,
        )

    @property
    def problems(self) -> Sequence[Problem]:
        return self._content.problems

    @property
    def url(self) -> str:
        scheme = "https" if self.settings.tls_cert else "http"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{scheme}://{host}:{self._listener.port}"

    @property
    def control_url(self) -> str:
        """Where the control answers that says what is served; "" if it is files."""
        return getattr(self._content, "control_url", "")

    async def start(self) -> None:
        """Listen, then load every model; return when each of them is ready or has failed.

        Raises:
            ConfigError: nothing to serve, or the port cannot be had.
        """
        self._content.check()
        await self._listener.start()
        await self._content.start(self.url)

    async def stop(self, grace: float) -> None:
        """Not ready any more; no new connections; finish what was accepted within `grace` seconds; then end."""
        self._application.health.draining = True
        await self._content.settle()
        await self._listener.stop(grace)
        await self._application.close()
        await self._content.stop(grace)

    def _expose(self) -> tuple[bytes, bytes]:
        for runner in self._content.runners():
            runner.update_gauges()
        return expose(self.metrics)


def _content(settings: NodeSettings, metrics: Metrics, paths: Sequence[Path]) -> Content:
    if paths:
        from shoal.node.files import Files

        return Files(settings, metrics, paths)
    from shoal.node.routed import Routed

    return Routed(settings, metrics)
