"""A gateway: the data port of a split node. It has no models and no workers; it knows proxies, and asks them."""

from __future__ import annotations

import asyncio

from shoal.core.clock import monotonic
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.monitor.exposition import expose
from shoal.node.control import FoundControl
from shoal.node.front import Front
from shoal.node.roles.apps import NearbyApps
from shoal.node.roles.peers import directory_of
from shoal.node.roles.telling import Teller, TreeMetrics
from shoal.node.tree.plan import LOADED, Membership
from shoal.serving.hop.remote import RemoteModels
from shoal.serving.hop.settings import HopSettings

LOOK_SECONDS = 0.05
PATIENCE_SECONDS = 5.0
"""How long a gateway of a tree may take to find its proxies, once those have loaded everything."""


class GatewayNode:
    """See the module; a `running.Role`. Made inside a running event loop.

    Args:
        settings: of the gateway.
        member: who it is in a tree; None: on its own.
        everywhere: whether each proxy has every model, as where they serve files.

    Attributes:
        models: what the proxies serve.
    """

    def __init__(self, settings: NodeSettings, member: Membership | None = None, *, everywhere: bool = True) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._member = member
        self._found = FoundControl(settings)
        self.models = RemoteModels(
            directory_of(settings), clock=monotonic, metrics=self.metrics, settings=HopSettings(everywhere=everywhere)
        )
        self._teller = Teller(member, self._own) if member else None
        self._tree = TreeMetrics(member, self._own) if member else None
        self._apps = NearbyApps(settings)
        self._front = Front(
            settings,
            self.models,
            metrics=self.metrics,
            expose=self._tree.expose if self._tree else lambda tell: tell(*self._own()),
            control=None if everywhere and not settings.control else lambda: settings.control or self._found.url,
            apps=self._apps,
        )

    @property
    def url(self) -> str:
        return self._front.url

    async def start(self) -> None:
        """Listen and look for proxies. In a tree, return when it may be sent requests.

        Raises:
            ConfigError: the port cannot be had.
        """
        await self.models.start()
        await self._front.start()
        await self._front.settled()
        if self._teller and self._member:
            await self._teller.start()
            await self._until_there(self._member)

    async def stop(self, grace: float) -> bool:
        """See `running.Role`."""
        whole = await self._front.stop(grace)
        await self._apps.close()
        if self._teller:
            await self._teller.stop()
        if self._tree:
            await self._tree.close()
        await self.models.close()
        return whole

    async def _until_there(self, member: Membership) -> None:
        """While proxies load, and for a moment more: what they have is known here, or none of it can answer."""
        loaded = member.folder / LOADED
        patience = PATIENCE_SECONDS
        while patience > 0:
            if self._front.ready:
                return
            await asyncio.sleep(LOOK_SECONDS)
            if loaded.exists():
                patience -= LOOK_SECONDS

    def _own(self) -> tuple[bytes, bytes]:
        return expose(self.metrics)
