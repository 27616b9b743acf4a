"""A folder of service files as the source of what is deployed: read at start, and followed while control runs.

The folder says, the registry keeps: what is put here is served as if it had been deployed by a command, so both ways
give the same routes. What the registry refuses (a namespace that is not there), and a change to a version that is not
there, which would end what is served, is told once, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol

from shoal.control.registry.records import ServiceRecord
from shoal.control.services.resolving import Resolver
from shoal.control.services.scanning import Folder, Key
from shoal.control.services.store import Store
from shoal.control.services.watching import Refusal, Step, Watcher
from shoal.core.errors import ShoalError
from shoal.core.registry import DEFAULT_NAMESPACE
from shoal.core.service import Service, address

logger = logging.getLogger(__name__)
ACTOR = "service files"
"""Who has put what comes from a folder."""
PAGE = 500


class Sink(Store, Protocol):
    """Where services go: a part of `control.registry.Registry`."""

    def delete_service(
        self, namespace: str, name: str, environment: str = ..., *, actor: str = ""
    ) -> ServiceRecord: ...


class Source:
    """See the module.

    Args:
        path: the folder.
        sink: the registry.
        namespace: of services whose file does not say it.
        refused: told of each refusal, once.

    Attributes:
        rejected: refusals so far.
    """

    def __init__(
        self,
        path: Path,
        sink: Sink,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        refused: Callable[[Refusal], None] | None = None,
    ) -> None:
        self._folder = Folder(path, namespace=namespace)
        self._sink = sink
        self._resolver = Resolver(sink)
        self._refused = refused or _log
        self._watcher = Watcher(_put_before(sink))
        self._failed: dict[Key, str] = {}
        self.rejected = 0

    def look(self) -> Step:
        """Look at the folder once, and do what it asks for."""
        step = self._watcher.step(self._folder.scan())
        for refusal in step.refusals:
            self._refuse(refusal)
        for service in step.puts:
            key = (service.namespace, service.name, service.environment)
            self._try(key, partial(self._put, service))
        for key in step.deletes:
            self._try(key, partial(self._sink.delete_service, *key, actor=ACTOR))
        return step

    def _put(self, service: Service) -> ServiceRecord:
        self._resolver.refuse_end(service)
        return self._sink.put_service(service, actor=ACTOR)

    def _try(self, key: Key, act: Callable[[], ServiceRecord]) -> None:
        namespace, name, environment = key
        try:
            record = act()
        except ShoalError as error:
            reason = f"{error.message}; {error.hint}" if error.hint else error.message
            if self._failed.get(key) != reason:
                self._failed[key] = reason
                self._refuse(Refusal(address(name, environment, namespace), reason))
            return
        self._failed.pop(key, None)
        self._watcher.done(key, None if record.deleted else record.service)

    def _refuse(self, refusal: Refusal) -> None:
        self.rejected += 1
        self._refused(refusal)


async def follow(source: Source, interval: float, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Look at the folder until cancelled.

    Args:
        source: has been looked at once already, where services must be there at start.
        interval: seconds between two looks; a change is taken over after one to two of them.
        sleep: how to wait.
    """
    while True:
        await sleep(interval)
        await asyncio.to_thread(source.look)


def _put_before(sink: Sink) -> dict[Key, Service]:
    """What an earlier run has put, so that what has left the folder since is deleted."""
    known: dict[Key, Service] = {}
    after = ("", "", "")
    while page := sink.services(limit=PAGE, after=after):
        for record in page:
            after = (record.service.namespace, record.service.name, record.service.environment)
            if record.actor == ACTOR:
                known[after] = record.service
    return known


def _log(refusal: Refusal) -> None:
    logger.warning("not taken over, what was there stays: %s", refusal.reason, extra={"subject": refusal.subject})
