"""Full-custom apps at proxies of this machine, on sockets beside those of the proxies.

    proxies/proxy-1.sock      where a proxy listens for gateways
    proxies/proxy-1.apps/X    where an app of it listens; X is made of the model's name

Each proxy that runs a model runs its app. All gateways ask the same one of them, the first in the model's ranking, and
the next one while nobody listens there. Nothing is remembered of who is there: the folder tells, with each request.
"""

from __future__ import annotations

import asyncio
import functools
import os
from contextlib import suppress
from pathlib import Path

from shoal.core.placement.rendezvous import Hosts
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.split import SOCKET
from shoal.node.roles.peers import Shares
from shoal.serving.gateway.endpoints.apps import AppProxy, socket_name

SUFFIX = ".apps"


def folder_of(settings: NodeSettings) -> Path | None:
    """Where a proxy's apps listen; None: it listens elsewhere than on a Unix socket, so nobody could reach them."""
    place = settings.listen or ""
    return Path(place.removeprefix(SOCKET)).with_suffix(SUFFIX) if place.startswith(SOCKET) else None


class NearbyApps:
    """See the module; implements `endpoints.apps.Apps` for a gateway.

    Args:
        settings: of the gateway.
    """

    def __init__(self, settings: NodeSettings) -> None:
        place = settings.proxies_at or ""
        self._folder = Path(place).expanduser() if place and ":" not in place else None
        self._ways: dict[str, AppProxy] = {}

    def get(self, name: str, /) -> AppProxy | None:
        """See `endpoints.apps.Apps`."""
        if not self._sockets(name):
            return None
        way = self._ways.get(name)
        if way is None:
            way = self._ways[name] = AppProxy(functools.partial(self._sockets, name))
        return way

    async def close(self) -> None:
        """Hang up."""
        await asyncio.gather(*(way.close() for way in self._ways.values()))

    def _sockets(self, name: str) -> list[str]:
        """Where the app of this model may listen, the one to ask first."""
        own = socket_name(name)
        found = {folder: path for folder in self._folders() if os.path.exists(path := os.path.join(folder, own))}
        return [found[folder] for folder in _ranked(Shares.key(name), tuple(sorted(found)))]

    def _folders(self) -> list[str]:
        if self._folder is not None:
            with suppress(OSError), os.scandir(self._folder) as entries:
                return [entry.path for entry in entries if entry.name.endswith(SUFFIX)]
        return []


@functools.lru_cache(maxsize=1024)
def _ranked(key: str, folders: tuple[str, ...]) -> list[str]:
    """As gateways rank the proxies for calls of the model: its app is asked where it is called."""
    names = {Path(folder).stem: folder for folder in folders}
    return [names[name] for name in Hosts(dict.fromkeys(names, 1.0)).ranked(key)]
