"""All models of the proxies, as a gateway sees them.

What was asked for before is answered from memory, whatever the proxies do; what is not known is looked for once for all
who ask. What is used is refreshed in the background, so a change of a model is seen within a second or two; requests
themselves always get the word of the proxy.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Awaitable, Iterable, Sequence

import msgspec

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import NotFound, ShoalError, Unavailable
from shoal.core.metrics import Metrics
from shoal.core.tasks import Tasks
from shoal.serving.hop import messages
from shoal.serving.hop.calls import Calls, RemoteDispatch
from shoal.serving.hop.directory import Directory
from shoal.serving.hop.handles import Object, RemoteHandle, added
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Ask, Facts, Known, What
from shoal.serving.hop.proxies import Proxies
from shoal.serving.hop.proxy.telling import mark_of
from shoal.serving.hop.settings import HopSettings

logger = logging.getLogger(__name__)

Key = tuple[str, str]

UNKNOWN_SECONDS = 2.0
"""How long a proxy's word that there is no such model is believed."""
UNKNOWN_KEPT = 4096
"""Names of which that is remembered."""
KEPT = 100_000
"""Models that are remembered; when there are more, those that nobody uses are forgotten."""
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
        self._settings = settings or HopSettings()
        self._clock = clock
        instruments = HopInstruments(metrics)
        self.proxies = Proxies(
            directory,
            name=name or f"gateway-{os.getpid()}",
            settings=self._settings,
            clock=clock,
            instruments=instruments,
        )
        self.calls = Calls(
            self.proxies,
            settings=self._settings,
            clock=clock,
            loop=asyncio.get_running_loop(),
            instruments=instruments,
        )
        self.calls.on_unknown = self._forget
        self._handles: dict[Key, RemoteHandle] = {}
        self._versions: dict[str, list[RemoteHandle]] = {}
        self._listed: list[RemoteHandle] = []
        self._unknown: dict[Key, float] = {}
        self._looking: dict[Key, asyncio.Task[ShoalError | None]] = {}
        self._tasks = Tasks()

    async def start(self) -> None:
        """Connect to the proxies, and follow who comes and goes."""
        await self.proxies.start(self.calls)
        self._tasks.start("refresh models", self._refresh_always())

    async def close(self) -> None:
        """Hang up; calls that have no answer yet get an error."""
        await self._tasks.close()
        self.calls.close()
        await self.proxies.close()

    # What the gateway asks on a request's way

    def find(self, name: str, version: str = "") -> RemoteHandle:
        """See `core.ports.Models.find`."""
        handle = self._handles.get((name, version))
        if handle is None:
            what = f"model {name!r} has no version {version!r}" if version else f"there is no model {name!r}"
            raise NotFound(what, hint="`shoal models` and `shoal services` list what there is")
        handle.used = True
        return handle

    def discoverable(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.discoverable`."""
        until = self._unknown.get((name, version))
        return until is None or self._clock() >= until

    async def discover(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.discover`."""
        key = (name, version)
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = self._tasks.start(f"look for {name}", self._look_for(key))
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        await asyncio.wait((looking,))
        error = Unavailable("the gateway stops") if looking.cancelled() else looking.result()
        if error is not None:
            raise type(error)(error.message, hint=error.hint, retry_after=error.retry_after)

    async def _look_for(self, key: Key) -> ShoalError | None:
        """Ask, once for all who want to know; what went wrong, if anything did."""
        try:
            told = await self._ask_owner("describe", *key)
        except NotFound as error:
            if len(self._unknown) >= UNKNOWN_KEPT:
                self._unknown.clear()
            self._unknown[key] = self._clock() + UNKNOWN_SECONDS
            return error
        except ShoalError as error:
            return error
        description = messages.decode_description(told)
        self._unknown.pop(key, None)
        self._remember(key, description.wanted)
        self._versions[key[0]] = [self._handle(facts) for facts in description.versions]
        return None

    # What the gateway tells

    def ready(self) -> bool:
        """See `core.ports.Models.ready`: there is a proxy that is."""
        return any(link.state.ready for link in self.proxies.usable)

    def versions(self, name: str) -> Sequence[RemoteHandle]:
        """See `core.ports.Models.versions`: as of when the model was last looked for or refreshed."""
        return self._versions.get(name, ())

    def all(self) -> Sequence[RemoteHandle]:
        """See `core.ports.Models.all`: as of the last `refresh` of all."""
        return self._listed

    def some(self, limit: int) -> Iterable[str]:
        """See `core.ports.Models.some`."""
        return itertools.islice(self._versions, limit)

    def explain(self, name: str, version: str = "") -> Object:
        """See `core.ports.Models.explain`: what this gateway knows; `why` asks the proxy."""
        handle = self.find(name, version)
        owners = [link.name for link in self.proxies.links(handle.dispatch.key)]
        return {
            "name": handle.spec.name,
            "version": handle.spec.version,
            "state": handle.state.value,
            "reason": handle.reason,
            "proxies": owners,
            "why": [handle.reason or "it answers", f"its requests go to {' and '.join(owners) or 'no proxy'}"],
        }

    async def load(self, name: str, config: str | None = None) -> None:
        """See `core.ports.Models.load`: at all proxies, or at those that have the model."""
        links = self.proxies.usable if self._settings.everywhere else self.proxies.links(f"{name}/")
        await self._order("load", name, links, (config or "").encode())

    async def unload(self, name: str) -> None:
        """See `core.ports.Models.unload`: at all proxies."""
        await self._order("unload", name, self.proxies.usable, b"")

    async def _order(self, what: What, name: str, links: Sequence[Link], payload: bytes) -> None:
        """Have it done by all of these; if any cannot, that is the error, unless it is only that it knows no such
        model and others do."""
        if not links:
            raise Unavailable("no proxy can be reached", retry_after=1.0)
        asks = (link.ask(Ask(link.number(), what, name), payload, seconds=None) for link in links)
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        self._unknown.pop((name, ""), None)
        await self.refresh(name)
        if errors and (len(errors) == len(links) or not all(isinstance(each, NotFound) for each in errors)):
            raise next((each for each in errors if not isinstance(each, NotFound)), errors[0])

    # What proxies tell

    async def refresh(self, name: str = "", version: str = "") -> None:
        """Bring what is told of a model, or of all models, up to date; what cannot be asked for stays as it was."""
        try:
            if name:
                await self._look_for((name, version))
                await self._count(name, version)
            else:
                await self._list()
        except ShoalError as error:
            logger.debug("models could not be refreshed: %s", error)

    async def why(self, name: str, version: str = "") -> Object:
        """What its proxy says of a model; see `core.ports.Models.explain`.

        Raises:
            NotFound: no such model or version.
            Unavailable: the proxy does not answer.
        """
        return messages.decode_object(await self._ask_owner("why", name, version))

    async def _list(self) -> None:
        """All models of all proxies; of those that several have, the word of the first who can answer."""
        told = await self._ask_all("list", "")
        best: dict[Key, Facts] = {}
        for facts in itertools.chain.from_iterable(map(messages.decode_fact_list, told)):
            key = (facts.spec.name, facts.spec.version)
            if key not in best or _better(facts, best[key]):
                best[key] = facts
        handles = {key: self._handle(facts) for key, facts in best.items()}
        for name, group in itertools.groupby(sorted(handles), key=lambda each: each[0]):
            self._versions[name] = [handles[key] for key in sorted(group, key=lambda each: (len(each[1]), each[1]))]
        self._listed = [handle for name in sorted({key[0] for key in handles}) for handle in self._versions[name]]
        counted = await self._ask_all("statistics", "")
        self._apply_counts(counted)

    async def _count(self, name: str, version: str) -> None:
        self._apply_counts(await self._ask_all("statistics", name, version))

    def _apply_counts(self, told: Sequence[bytes | bytearray]) -> None:
        by_key: dict[Key, list[Object]] = {}
        for each in itertools.chain.from_iterable(map(messages.decode_objects, told)):
            by_key.setdefault((str(each.pop("name", "")), str(each.pop("version", ""))), []).append(each)
        for (name, version), statistics in by_key.items():
            total = added(statistics)
            known = [each for each in self._versions.get(name, ()) if each.spec.version == version]
            for handle in (*known, self._handles.get((name, "")), self._handles.get((name, version))):
                if handle is not None and handle.spec.version == version:
                    handle.count(total)

    async def _refresh_always(self) -> None:
        while True:
            await asyncio.sleep(self._settings.refresh_seconds)
            used = [handle for handle in self._handles.values() if handle.used]
            for link, handles in self._by_owner(used).items():
                for at in range(0, len(handles), AT_ONCE):
                    await self._guarded(self._refresh(link, handles[at : at + AT_ONCE]))

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
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
        known = [Known(handle.name, handle.version, handle.mark) for handle in handles]
        for handle in handles:
            handle.used = False
        ask = Ask(link.number(), "refresh")
        told = await link.ask(ask, messages.encode(known), seconds=self._settings.ask_seconds)
        for handle, news in zip(handles, messages.decode_refreshed(told), strict=False):
            if news is None:
                self._forget(handle.name, handle.version)
            elif news:
                handle.apply(messages.decode_facts(news), mark_of(news))

    def _remember(self, key: Key, facts: Facts) -> None:
        handle = self._handles.get(key)
        mark = mark_of(messages.encode(facts))
        if handle is not None:
            handle.apply(facts, mark)
            return
        if len(self._handles) >= KEPT:
            self._handles = {each: kept for each, kept in self._handles.items() if kept.used}
        dispatch = RemoteDispatch(self.calls, *key, pure=facts.spec.pure)
        self._handles[key] = RemoteHandle(*key, facts, dispatch, mark)

    def _handle(self, facts: Facts) -> RemoteHandle:
        """A handle of a version that is shown only; the one that requests use, if there is one."""
        key = (facts.spec.name, facts.spec.version)
        handle = self._handles.get(key)
        if handle is not None:
            handle.apply(facts, mark_of(messages.encode(facts)))
            return handle
        return RemoteHandle(*key, facts, RemoteDispatch(self.calls, *key, pure=facts.spec.pure))

    def _forget(self, name: str, version: str) -> None:
        """There is no such model any more."""
        self._handles.pop((name, version), None)
        self._versions.pop(name, None)

    async def _ask_owner(self, what: What, name: str, version: str) -> bytes | bytearray:
        """Ask the model's proxy; if it is lost meanwhile, the next one."""
        if not self.proxies.usable:
            await self.proxies.there()
        links = self.proxies.ranked(f"{name}/{version}")[:2]
        error: ShoalError = Unavailable("no proxy can be reached", retry_after=1.0)
        for link in links:
            try:
                return await link.ask(Ask(link.number(), what, name, version), seconds=self._settings.ask_seconds)
            except Unavailable as failed:
                error = failed
                if link.is_open:
                    break
        raise error

    async def _ask_all(self, what: What, name: str, version: str = "") -> list[bytes | bytearray]:
        """The answers of those who have one.

        Raises:
            ShoalError: nobody has.
        """
        links = self.proxies.usable
        asks = (link.ask(Ask(link.number(), what, name, version), seconds=self._settings.ask_seconds) for link in links)
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        told = [each for each in outcomes if isinstance(each, bytes | bytearray)]
        if not told:
            raise next((each for each in outcomes if isinstance(each, ShoalError)), Unavailable("no proxy is there"))
        return told


def _better(one: Facts, other: Facts) -> bool:
    return one.state.value == "READY" != other.state.value
