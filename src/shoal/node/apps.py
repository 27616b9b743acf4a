"""The full-custom apps of a node: a process and a proxy each."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.gateway.endpoints.apps import AppProxy
from shoal.serving.pool.app import AppProcess
from shoal.serving.pool.confining.confiner import Confiner

logger = logging.getLogger(__name__)

ENTERED = 0o711
"""An app with a user of its own goes through the node's folder to that of its socket."""


class Apps:
    """See the module.

    Args:
        confiner: confines them; None: they are not.

    Attributes:
        reachable: whether requests for them can come here; otherwise none is started.
    """

    def __init__(self, confiner: Confiner | None = None) -> None:
        self.reachable = True
        self.proxies: dict[str, AppProxy] = {}
        self._processes: dict[str, AppProcess] = {}
        self._confiner = confiner
        self._started = 0
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def serve(self, specs: Sequence[ModelSpec]) -> None:
        """Start the apps of these models, unless they run already."""
        for spec in specs:
            if not spec.app or spec.name in self.proxies:
                continue
            if not self.reachable:
                logger.warning("its app is not served: a split node serves none", extra={"model": spec.name})
                continue
            socket = self._folder() / "app.sock"
            process = self._processes[spec.name] = AppProcess(spec, socket, confiner=self._confiner)
            process.start()
            self.proxies[spec.name] = AppProxy(str(socket), timeout=spec.limits.timeout_seconds)

    def _folder(self) -> Path:
        """A new folder for one socket."""
        if self._home is None:
            self._home = tempfile.TemporaryDirectory(prefix="shoal-apps-")
            Path(self._home.name).chmod(ENTERED)
        self._started += 1
        folder = Path(self._home.name, str(self._started))
        folder.mkdir(mode=0o700)
        return folder

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
        if self._home is not None:
            self._home.cleanup()


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
