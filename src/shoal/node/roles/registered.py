"""Where a host of workers has models of a registry from: as a node has them, route by route, file by file.

The proxy names a model, control says what that is, and the files come out of the cache of this machine, compared with
their digests and signatures. What control said last is on disk, so what has been here starts again with control dead.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence

import msgspec

from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.environments.environments import Environments
from shoal.control.folder import Problem
from shoal.core.errors import Conflict, NotFound, Unavailable
from shoal.core.model import ModelSpec
from shoal.core.routes import Route
from shoal.core.settings.node import NodeSettings
from shoal.node.asking import Asking
from shoal.node.content.keeping import Blobs, file_name, lock
from shoal.node.content.preparing import Preparing
from shoal.node.control import FoundControl, control_key, home_folder
from shoal.serving.hosting.source import RouteSource
from shoal.serving.hosting.state import Key, RouteState
from shoal.serving.remote.host.shelf import Found
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted


class RegistrySource:
    """See the module; a `sources.HostSource`. Nothing is loaded before a proxy opens it.

    Args:
        settings: of the host.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self.problems: Sequence[Problem] = ()
        self._settings = settings
        self._found = FoundControl(settings)
        folder = home_folder(settings, "nodes", file_name(settings.name))
        self._lock = lock(folder, settings.name)
        self._state = RouteState(folder / "routes.db")
        self._asking = Asking(self._url, settings.environments, key=lambda: control_key(settings))
        self._cache = ArtifactCache(home_folder(settings, "cache"), Blobs(settings, self._url), settings.cache)
        environments = Environments(home_folder(settings, "environments"))
        self._preparing = Preparing(self._cache, environments, settings.folder / "services")
        self._routes = RouteSource(self._asking, self._state)

    async def start(self) -> list[Wanted]:
        """See `HostSource`."""
        return []

    async def stop(self) -> None:
        """See `HostSource`."""
        self._asking.close()
        self._preparing.close()
        self._cache.close()
        self._state.close()
        os.close(self._lock)

    def adjusted(self, spec: ModelSpec) -> ModelSpec:
        """See `HostSource`."""
        variables = self._settings.worker_variables
        return msgspec.structs.replace(spec, environment={**spec.environment, **variables})

    async def find(self, wanted: Wanted) -> Found:
        """See `shelf.Source`."""
        async for key, route in self._candidates(wanted):
            if route.target is None or route.target.version != wanted.version:
                continue
            prepared = await self._preparing.prepare(route, key[1])
            if mark_of(prepared.spec) == wanted.mark:
                self._state.put((wanted.name, wanted.version), route)  # once its service serves another, too
                return Found(prepared.spec, prepared.release, route.service.device)
            prepared.release()
        raise Conflict(f"version {wanted.version} of {wanted.name!r} is something else here than at the proxy")

    async def _candidates(self, wanted: Wanted) -> AsyncIterator[tuple[Key, Route]]:
        """What may be meant: the version that its service serves or one that a caller named, as known here and then
        as control says it now."""
        keys = ((wanted.name, ""), (wanted.name, wanted.version))
        for key in keys:
            if (known := self._routes.known(key)) is not None:
                yield key, known
        silent: Unavailable | None = None
        unknown = 0
        for key in keys:
            try:
                yield key, await self._routes.ask(key)
            except NotFound:
                unknown += 1
            except Unavailable as error:
                silent = error
        if silent is not None:
            raise silent
        if unknown == len(keys):
            raise NotFound(f"control knows no {wanted.name!r}, version {wanted.version}")

    def _url(self) -> str:
        return self._settings.control or self._found.url
