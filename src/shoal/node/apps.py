"""The full-custom apps of a process: each is a process of its own, which listens on a socket in one private folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec
from shoal.core.scratch import SECRET, Scratch
from shoal.core.tasks import Tasks
from shoal.serving.gateway.endpoints.apps import AppProxy, socket_name
from shoal.serving.pool.app import AppProcess
from shoal.serving.pool.confining.confiner import Confiner

logger = logging.getLogger(__name__)

PREFIX = "shoal-apps-"


class Apps:
    """See the module. The folder is one of its own, unless it is told another.

    Args:
        confiner: confines them; None: they are not.

    Attributes:
        proxies: the way to each, by the name of its model.
    """

    def __init__(self, confiner: Confiner | None = None) -> None:
        self.proxies: dict[str, AppProxy] = {}
        self._processes: dict[str, AppProcess] = {}
        self._confiner = confiner
        self._reachable = True
        self._folder: Path | None = None
        self._scratch: Scratch | None = None

    def listen_in(self, folder: Path | None) -> None:
        """Have the sockets in this folder, which is nobody else's; None: nobody can reach apps here, none is started.

        Raises:
            ConfigError: the folder cannot be had.
        """
        self._reachable = folder is not None
        if folder is not None:
            self._folder = _emptied(folder)

    def serve(self, specs: Sequence[ModelSpec]) -> None:
        """Start the apps of these models, unless they run already."""
        for spec in specs:
            if not spec.app or spec.name in self.proxies:
                continue
            if not self._reachable:
                told = "its app is not served: gateways reach apps on their own machine only, by Unix sockets"
                logger.warning(told, extra={"model": spec.name})
                continue
            self._start(spec)

    def _start(self, spec: ModelSpec) -> None:
        socket = self._home() / socket_name(spec.name)
        process = self._processes[spec.name] = AppProcess(spec, socket, confiner=self._confiner)
        process.start()
        self.proxies[spec.name] = AppProxy(lambda: [str(socket)])

    def _home(self) -> Path:
        if self._folder is None:
            self._scratch = Scratch(PREFIX)
            self._folder = self._scratch.path
        return self._folder

    async def drop(self, names: Collection[str]) -> None:
        """End the apps of these models."""
        dropped = self.proxies.keys() & names
        proxies = [self.proxies.pop(name) for name in dropped]
        processes = [self._processes.pop(name) for name in dropped]
        await asyncio.gather(*(proxy.close() for proxy in proxies))
        await asyncio.gather(*(process.stop() for process in processes))

    async def stop(self) -> None:
        """End them all."""
        await self.drop(list(self.proxies))
        if self._scratch is not None:
            self._scratch.close()


class FollowingApps:
    """Keeps the apps of services in step with what is served: an app comes, changes and goes with its version.

    Args:
        apps: what runs.
        tasks: where the changes run.
    """

    def __init__(self, apps: Apps, tasks: Tasks) -> None:
        self._apps = apps
        self._tasks = tasks
        self._running: dict[str, str] = {}
        self._change = asyncio.Lock()

    def changed(self, name: str, spec: ModelSpec | None) -> None:
        """This is served now under the name, or nothing."""
        wanted = spec.digest if spec is not None and spec.app else ""
        if self._running.get(name, "") == wanted:
            return
        self._running[name] = wanted
        self._tasks.start(f"app of {name}", self._replace(name, spec if wanted else None))

    async def _replace(self, name: str, spec: ModelSpec | None) -> None:
        async with self._change:
            await self._apps.drop([name])
            if spec is not None:
                self._apps.serve([spec])


def _emptied(folder: Path) -> Path:
    """The folder, made if need be, for this user alone, and without what a former process of the same name has left.

    Raises:
        ConfigError: it cannot be had.
    """
    try:
        folder.mkdir(mode=SECRET, exist_ok=True)
        folder.chmod(SECRET)
        for left in folder.iterdir():
            left.unlink()
    except OSError as error:
        raise ConfigError(f"the folder {folder} for sockets of apps cannot be had: {error.strerror}") from error
    return folder
