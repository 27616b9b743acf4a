"""A whole node in one process: the data port, and what is served behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shoal.control.folder import Problem
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.node.content.base import content_of, metrics_of
from shoal.node.front import Front


class Node:
    """One port and what is served on it; a `running.Role`. Made inside a running event loop.

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
        self._content = content_of(settings, self.metrics, paths)
        self.models = self._content.models
        self._front = Front(
            settings,
            self.models,
            metrics=self.metrics,
            expose=lambda tell: tell(*metrics_of(self._content, self.metrics)),
            control=None if paths else lambda: self.control_url,
            apps=self._content.apps.proxies,
        )

    @property
    def problems(self) -> Sequence[Problem]:
        return self._content.problems

    @property
    def url(self) -> str:
        return self._front.url

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
        await self._front.start()
        await self._content.start(self.url)
        await self._front.settled()

    async def stop(self, grace: float) -> bool:
        """See `running.Role`: not ready any more, no new connections, finish, end."""
        self._front.draining()
        await self._content.settle()
        whole = await self._front.stop(grace)
        await self._content.stop(grace)
        return whole
