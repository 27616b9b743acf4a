"""A node split over processes: `shoal serve --gateways N --proxies M`. This process starts them, and does nothing else.

    tree ──┬── control          (where the node has one of its own)
           ├── proxy-1 .. M     batches and workers; each on a Unix socket in the run folder
           └── gateway-1 .. N   share the data port; find the proxies in the run folder

What dies is started again. At the end the gateways finish first, then the proxies, whom they ask; control goes last. If
this process is killed, the kernel ends all of them with it; its run folder goes when the next one starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.core.scratch import Scratch
from shoal.core.settings.node import NodeSettings
from shoal.node.control import OwnControl
from shoal.node.tree import plan
from shoal.node.tree.kept import Kept
from shoal.serving.gateway.sockets.binding import reserve

if TYPE_CHECKING:
    from shoal.control.folder import Problem

logger = logging.getLogger(__name__)

PREFIX = "shoal-run-"
"""Of the run folder's name."""
SPARE_SECONDS = 5.0
"""How much longer than its grace a process may take to end."""


class Tree:
    """See the module; a `running.Role`.

    Args:
        settings: of the node.
        paths: model files, model folders, or folders full of them; none: what the registry knows.

    Attributes:
        gateways, proxies: the processes.
        problems: always empty: each proxy tells its own in the log.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path]) -> None:
        self.settings = settings
        self.problems: Sequence[Problem] = ()
        self.gateways: list[Kept] = []
        self.proxies: list[Kept] = []
        self._paths = paths
        self._control = None if paths or settings.control else OwnControl(settings)
        self._scratch = Scratch(PREFIX)
        self._reserved: list[socket.socket] = []
        self._port = settings.port

    @property
    def url(self) -> str:
        return self.settings.url(self._port)

    @property
    def control_url(self) -> str:
        """See `node.Node.control_url`."""
        if self._control is not None:
            return self._control.url
        return "" if self._paths else self.settings.control or ""

    async def start(self) -> None:
        """Return when every process is ready.

        Raises:
            ConfigError: settings or files are wrong, or the port cannot be had.
            ShoalError: a process ends again and again.
        """
        self._reserved = await reserve(self.settings.host, self._port)
        self._port = self._reserved[0].getsockname()[1]
        if self._control is not None:
            await self._control.start()
        folder = self._scratch.path
        for part in (plan.PROXIES, plan.METRICS):
            (folder / part).mkdir(mode=0o700)
        self.proxies = [_kept(member) for member in plan.proxies(self.settings, self._paths, folder, self._port)]
        self.gateways = [_kept(member) for member in plan.gateways(self.settings, self._paths, folder, self._port)]
        for each in self.proxies + self.gateways:
            each.start()
        await asyncio.gather(*(each.started() for each in self.proxies))
        (folder / plan.LOADED).touch()
        await asyncio.gather(*(each.started() for each in self.gateways))

    async def stop(self, grace: float) -> bool:
        """See `running.Role`."""
        whole = True
        for kept in (self.gateways, self.proxies):
            ends = await asyncio.gather(*(each.stop(grace + SPARE_SECONDS) for each in kept))
            whole = whole and all(ends)
        if self._control is not None:
            await self._control.stop()
        for each in self._reserved:
            each.close()
        self._scratch.close()
        return whole


def _kept(member: plan.Member) -> Kept:
    member.write_settings()
    return Kept(member.name, member.command, environment=plan.environment(os.environ))
