"""All models of the proxies, as a gateway sees them.

What was asked for before is answered from memory, whatever the proxies do; what is not known is looked for once for all
who ask. What is used is refreshed in the background, so a change of a model is seen within a second or two; requests
themselves always get the word of the proxy.

What is told of a model in figures, its statistics and `explain`, is of the moment for a second only. After that
`measure` asks for it anew, once for all who want it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from math import inf

import msgspec

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotFound, ShoalError
from shoal.core.metrics import Metrics
from shoal.core.tasks import Tasks
from shoal.serving.hop import messages
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Description, Known
from shoal.serving.hop.proxies import Proxies
from shoal.serving.hop.sending.calls import Calls
from shoal.serving.hop.settings import HopSettings
from shoal.serving.hop.told.asking import Asking
from shoal.serving.hop.told.handles import Object, RemoteHandle
from shoal.serving.hop.told.memory import Key, Memory
from shoal.serving.hosting.lookups import Lookups
from shoal.serving.peering.directory import Directory

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""How long figures are good."""
LOOKED_SECONDS = 60.0
"""How long after somebody has looked at the list of all models it is kept fresh."""
LIST_SHARE = 20
"""Times what a list has taken, until the next one: that of very many models is made less often."""
AT_ONCE = 1000
"""Models that one question asks for anew."""


class RemoteModels:
    """See the module; implements `core.ports.Models`. Made inside a running event loop.

    Args:
        directory: where proxies are.
        clock: monotonic seconds.
        metrics: of this process.
        settings: of the hop.
        name: of this gateway, for the proxies' logs.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        metrics: Metrics,
        clock: Clock = monotonic,
        settings: HopSettings | None = None,
        name: str = "",
    ) -> None:
        self._settings = settings = settings or HopSettings()
        self._clock = clock
        instruments = HopInstruments(metrics)
        name = name or f"gateway-{os.getpid()}"
        self.proxies = Proxies(directory, name=name, settings=settings, clock=clock, instruments=instruments)
        loop = asyncio.get_running_loop()
        self.calls = Calls(self.proxies, settings=settings, clock=clock, loop=loop, instruments=instruments)
        self._memory = Memory(self.calls)
        self.calls.on_unknown = self._memory.forget
        self._asking = Asking(self.proxies, settings.ask_seconds)
        self._lookups = Lookups(self._look_for, clock=clock, who="the gateway")
        self._measuring = Lookups(self._measure, clock=clock, who="the gateway")
        self._looked_at = self._list_again_at = -inf
        self._tasks = Tasks()

    async def start(self) -> None:
        """Connect to the proxies, and follow who comes and goes."""
        await self.proxies.start(self.calls)
        self._tasks.start("refresh models", self._refresh_always())

    async def close(self) -> None:
        """Hang up; calls that have no answer yet get an error."""
        await self._tasks.close()
        await self._lookups.close()
        await self._measuring.close()
        self.calls.close()
        await self.proxies.close()

    def find(self, name: str, version: str = "") -> RemoteHandle:
        """See `core.ports.Models.find`."""
        return self._memory.find(name, version)

    def discoverable(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.discoverable`."""
        return self._lookups.worth((name, version))

    async def discover(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.discover`."""
        await self._lookups.find((name, version))

    def measured(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.measured`: without a proxy what was told last is all that there is."""
        return self._clock() - self.find(name, version).told_at <= FRESH_SECONDS or not self.proxies.usable

    async def measure(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.measure`."""
        await self._measuring.find((name, version))

    def ready(self) -> bool:
        """See `core.ports.Models.ready`: there is a proxy that is."""
        return any(link.state.ready for link in self.proxies.usable)

    def versions(self, name: str) -> Sequence[RemoteHandle]:
        """See `core.ports.Models.versions`: as of when the model was last looked for."""
        return self._memory.versions(name)

    def all(self) -> Sequence[RemoteHandle]:
        """See `core.ports.Models.all`: as of the last second, if somebody has looked in the last minute."""
        self._looked_at = self._clock()
        return self._memory.listed

    def some(self, limit: int) -> Iterable[str]:
        """See `core.ports.Models.some`."""
        return self._memory.names(limit)

    def explain(self, name: str, version: str = "") -> Object:
        """See `core.ports.Models.explain`."""
        handle = self.find(name, version)
        links = [link.name for link in self.proxies.links(handle.dispatch.key)]
        return {"state": handle.state.value, "reason": handle.reason, **handle.explained, "proxies": links}

    async def load(self, name: str, config: str | None = None) -> None:
        """See `core.ports.Models.load`: at all proxies, or at those that have the model."""
        links = self.proxies.usable if self._settings.everywhere else self.proxies.links(f"{name}/")
        await self._order("load", name, links, (config or "").encode())

    async def unload(self, name: str) -> None:
        """See `core.ports.Models.unload`: at all proxies."""
        await self._order("unload", name, self.proxies.usable, b"")

    async def refresh(self, name: str, version: str = "") -> ShoalError | None:
        """Bring what is told of a model up to date; what went wrong, if anything did."""
        return await self._lookups.once((name, version))

    async def _order(self, what: messages.What, name: str, links: Sequence[Link], payload: bytes) -> None:
        try:
            await self._asking.order(what, name, links, payload)
        finally:
            self._lookups.forget((name, ""))
            await self.refresh(name)
            await self._guarded(self._list)

    async def _look_for(self, key: Key) -> None:
        description = await self._describe(key)
        self._tell_figures(key, description, [description.statistics])

    async def _measure(self, key: Key) -> None:
        description = await self._describe(key)
        counts = await self._asking.everybody("statistics", key[0])
        self._tell_figures(key, description, map(messages.decode_objects, counts))

    async def _describe(self, key: Key) -> Description:
        try:
            description = messages.decode_description(await self._asking.owner("describe", *key))
        except NotFound:
            self._memory.forget(*key)
            raise
        self._memory.describe(key, description)
        return description

    def _tell_figures(self, key: Key, description: Description, counts: Iterable[Iterable[Object]]) -> None:
        """Remember figures: what the model's own proxy explains, and what these proxies have counted."""
        handles, now = self._memory.of(*key), self._clock()
        self._memory.count(counts, handles)
        for handle in handles:
            handle.told_at = now
        self.find(*key).explained = description.explained

    async def _list(self) -> None:
        """All models of all proxies, and what they have done."""
        start = self._clock()
        self._memory.show(map(messages.decode_fact_list, await self._asking.everybody("list")))
        told = await self._asking.everybody("statistics")
        self._memory.count(map(messages.decode_objects, told), self._memory.listed)
        now = self._clock()
        self._list_again_at = now + LIST_SHARE * (now - start)

    async def _refresh_always(self) -> None:
        await self.proxies.there()
        while True:
            now = self._clock()
            if now >= self._list_again_at and (now - self._looked_at < LOOKED_SECONDS or not self._memory.listed):
                await self._guarded(self._list)
            used = [handle for handle in self._memory.handles.values() if handle.used]
            await asyncio.gather(
                *(self._guarded(partial(self._refresh, *each)) for each in self._by_owner(used).items())
            )
            await asyncio.sleep(self._settings.refresh_seconds)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except ShoalError as error:
            logger.debug("models could not be refreshed: %s", error)
        except msgspec.DecodeError as error:
            logger.error("what a proxy tells of its models cannot be read: %s", error)

    def _by_owner(self, handles: Iterable[RemoteHandle]) -> dict[Link, list[RemoteHandle]]:
        groups: dict[Link, list[RemoteHandle]] = {}
        for handle in handles:
            links = self.proxies.links(handle.dispatch.key)
            if links:
                groups.setdefault(links[0], []).append(handle)
        return groups

    async def _refresh(self, link: Link, handles: Sequence[RemoteHandle]) -> None:
        """Ask a proxy what is new of models that it has, a number at a time."""
        for at in range(0, len(handles), AT_ONCE):
            some = handles[at : at + AT_ONCE]
            for handle in some:
                handle.used = False
            known = [Known(handle.name, handle.version, handle.mark) for handle in some]
            told = await self._asking.one(link, "refresh", payload=messages.encode(known))
            for handle, news in zip(some, messages.decode_refreshed(told), strict=False):
                self._memory.refreshed(handle, news)
