"""Where a host of workers has its models from: folders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from shoal.control import folder
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import Conflict, NotFound
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.node.content.files import adjusted, nothing_to_serve
from shoal.serving.remote.host.shelf import Found, Source
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted

logger = logging.getLogger(__name__)

FRESH_SECONDS = 0.5
"""How long what was found in the folders counts: proxies open many models at once."""


class HostSource(Source, Protocol):
    """A source that is started and stopped with its host.

    Attributes:
        problems: what cannot be served, and why.
    """

    problems: Sequence[folder.Problem]

    async def start(self) -> list[Wanted]:
        """Begin; what is to be in memory from the start.

        Raises:
            ConfigError: there is nothing to serve.
        """
        ...

    async def stop(self) -> None: ...

    def adjusted(self, spec: ModelSpec) -> ModelSpec:
        """A spec with what the settings of this host say."""
        ...


class FileSource:
    """The models of some paths, looked at again whenever one is opened; all of them are loaded from the start.

    Args:
        settings: of the host.
        paths: model files, model folders, or folders full of them.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path], *, clock: Clock = monotonic) -> None:
        self.problems: Sequence[folder.Problem] = ()
        self._settings = settings
        self._paths = list(paths)
        self._clock = clock
        self._scan = folder.Scan()
        self._scanned_at = float("-inf")
        self._marks: dict[tuple[str, str], tuple[object, str]] = {}
        self._looking = asyncio.Lock()

    async def start(self) -> list[Wanted]:
        """See `HostSource`."""
        scan = await self._look()
        if not scan.specs:
            raise nothing_to_serve(self._paths, scan)
        self.problems = list(scan.problems)
        for problem in self.problems:
            logger.error("skipped: %s", problem.error, extra={"model": problem.name})
        return [Wanted(spec.name, spec.version, await asyncio.to_thread(self._mark, spec)) for spec in scan.specs]

    async def stop(self) -> None:
        """See `HostSource`."""

    def adjusted(self, spec: ModelSpec) -> ModelSpec:
        """See `HostSource`."""
        return adjusted(spec, self._settings)

    async def find(self, wanted: Wanted) -> Found:
        """See `shelf.Source`."""
        scan = await self._look()
        for spec in scan.specs:
            if (spec.name, spec.version) == (wanted.name, wanted.version):
                if await asyncio.to_thread(self._mark, spec) != wanted.mark:
                    raise _differs(spec)
                return Found(spec)
        raise NotFound(f"this host has no model {wanted.name!r}, version {wanted.version or 'unnamed'}")

    async def _look(self) -> folder.Scan:
        async with self._looking:
            if self._clock() - self._scanned_at >= FRESH_SECONDS:
                self._scan = await asyncio.to_thread(folder.scan, self._paths, trust=self._settings.trust)
                self._scanned_at = self._clock()
            return self._scan

    def _mark(self, spec: ModelSpec) -> str:
        """The mark; files that have not changed are not read again."""
        key = (spec.name, spec.version)
        made_of = (self._scan.stamps.get(key), spec)
        known = self._marks.get(key)
        if known is None or known[0] != made_of:
            known = self._marks[key] = (made_of, mark_of(spec))
        return known[1]


def _differs(spec: ModelSpec) -> Conflict:
    name = f"{spec.name}/{spec.version}" if spec.version else spec.name
    hint = "proxies and hosts must be given the same files; `model.yaml` is compared as far as it says how they are run"
    return Conflict(f"the files of model {name!r} on this host are not those of the proxy", hint=hint)
