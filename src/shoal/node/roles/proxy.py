"""A proxy: models with their batches and workers, for gateways in other processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from shoal.control.folder import Problem
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.node.content.base import Content, metrics_of
from shoal.node.roles.apps import folder_of
from shoal.node.roles.operations import Operations
from shoal.node.roles.peers import Shares, listen
from shoal.node.roles.telling import Teller
from shoal.node.tree.plan import Membership, proxy_names
from shoal.serving.hop.proxy.server import ProxyServer


class ProxyNode:
    """See the module; a `running.Role`. Made inside a running event loop.

    Args:
        settings: of the proxy.
        paths: model files, model folders, or folders full of them; none: what the registry knows.
        member: who it is in a tree; None: on its own.

    Attributes:
        models: what is served.
        url: where it listens for gateways.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path], member: Membership | None = None) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._content = _content(settings, self.metrics, paths, member)
        self.models = self._content.models
        name = member.name if member else settings.name
        self._server = ProxyServer(self.models, name=name, metrics=self.metrics)
        self._teller = Teller(member, self._own) if member else None
        self._operations = Operations(settings, self.models, self.metrics, self._own) if settings.operations else None
        self.url = settings.listen or ""

    @property
    def problems(self) -> Sequence[Problem]:
        return self._content.problems

    @property
    def control_url(self) -> str:
        """See `node.Node.control_url`."""
        return getattr(self._content, "control_url", "")

    async def start(self) -> None:
        """Listen, then load every model; return when each of them is ready or has failed.

        Raises:
            ConfigError: nothing to serve, or the place to listen at cannot be had.
        """
        self._content.check()
        if self._operations:
            await self._operations.start()
        if self._teller:
            await self._teller.start()
        self.url = await listen(self._server, self.settings)
        self._content.apps.listen_in(folder_of(self.settings))
        await self._content.start(self.url)

    async def stop(self, grace: float) -> bool:
        """See `running.Role`: gateways are told, what they have sent is finished."""
        if self._operations:
            self._operations.draining()
        await self._content.settle()
        whole = await self._server.drain(grace)
        await self._server.close()
        await self._content.stop(grace)
        for each in (self._teller, self._operations):
            if each:
                await each.stop()
        return whole

    def _own(self) -> tuple[bytes, bytes]:
        return metrics_of(self._content, self.metrics)


def _content(settings: NodeSettings, metrics: Metrics, paths: Sequence[Path], member: Membership | None) -> Content:
    """As a node's; but a control is never started, and what runs without being called is shared out in a tree."""
    if paths:
        from shoal.node.content.files import Files

        return Files(settings, metrics, paths)
    from shoal.node.content.routed import Routed

    if member is None:
        return Routed(settings, metrics, own_control=False)
    shares = Shares(member.name, proxy_names(settings))
    return Routed(settings, metrics, own_control=False, owns=shares.owns)
