"""The full-custom apps of a node: a process and a proxy each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from shoal.core.model import ModelSpec
from shoal.serving.gateway.endpoints.apps import AppProxy
from shoal.serving.pool.app import AppProcess


class Apps:
    """See the module."""

    def __init__(self) -> None:
        self.proxies: dict[str, AppProxy] = {}
        self._processes: dict[str, AppProcess] = {}
        self._started = 0
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def serve(self, specs: Sequence[ModelSpec]) -> None:
        """Start the apps of these models, unless they run already."""
        for spec in specs:
            if not spec.app or spec.name in self.proxies:
                continue
            self._home = self._home or tempfile.TemporaryDirectory(prefix="shoal-apps-")
            self._started += 1
            socket = Path(self._home.name, f"{self._started}.sock")
            process = self._processes[spec.name] = AppProcess(spec, socket)
            process.start()
            self.proxies[spec.name] = AppProxy(str(socket), timeout=spec.limits.timeout_seconds)

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
