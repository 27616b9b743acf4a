"""The models that control knows: asked for when first called, loaded when needed, let go when idle.

Nothing here asks control on a request's way but for the first one of an address. What control says is remembered on
disk (`state`), so all of it goes on, and starts again, with control dead.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable

from shoal.core.clock import Clock
from shoal.core.errors import NotFound, NotReady, Unavailable, Unsupported
from shoal.core.routes import Route, ServiceStatus
from shoal.serving.hosting import why
from shoal.serving.hosting.entry import Entry, MakeRunner, Preparer, asleep_spec
from shoal.serving.hosting.journal import Journal
from shoal.serving.hosting.lifecycle import Lifecycle
from shoal.serving.hosting.lookups import Lookups
from shoal.serving.hosting.source import RouteSource
from shoal.serving.hosting.state import Key


class RoutedModels:
    """See the module; implements `core.ports.Models`.

    Args:
        source: where routes come from.
        preparer: brings files here.
        make_runner: makes the runner of a model.
        journal: remembers what happened.
        clock: monotonic seconds.
        count: told the error code of each call that is answered before any runner had it.
        loads_at_once: how many models are brought up at the same time.
        sleep: how to wait.
        owns: which services that run without being called run here; others are brought up when they are called.
    """

    def __init__(
        self,
        source: RouteSource,
        preparer: Preparer,
        make_runner: MakeRunner,
        *,
        journal: Journal,
        clock: Clock,
        count: Callable[[str], None] = lambda code: None,
        loads_at_once: int = 8,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        owns: Callable[[str], bool] = lambda address: True,
    ) -> None:
        self._source = source
        self._owns = owns
        self._clock = clock
        self.journal = journal
        self.lifecycle = Lifecycle(
            source,
            preparer,
            make_runner,
            journal=journal,
            clock=clock,
            count=count,
            drop=self._drop,
            at_once=loads_at_once,
            sleep=sleep,
        )
        self._entries: dict[str, Entry] = {}
        self._versions: dict[Key, Entry] = {}
        self._services: dict[str, Entry] = {}
        self._running: dict[Key, Entry] = {}
        self.lifecycle.on_change.append(self._changed)
        self._lookups = Lookups(self._look_for, clock=clock, who="the node")
        self.settled = False
        """Whether everything that runs without being called has been started, or has failed."""

    # What the gateway asks

    def find(self, name: str, version: str = "") -> Entry:
        """See `core.ports.Models.find`."""
        entry = self._entries.get(name)
        if version and (entry is None or entry.spec.version != version):
            entry = self._versions.get((name, version))
        if entry is None:
            what = f"model {name!r} has no version {version!r}" if version else f"there is no model {name!r}"
            raise NotFound(what, hint="`shoal models` and `shoal services` list what there is")
        return entry

    def discoverable(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.discoverable`."""
        return self._lookups.worth((name, version))

    async def discover(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.discover`."""
        await self._lookups.find((name, version))

    async def _look_for(self, key: Key) -> None:
        route = await self._source.route(key)
        if key not in self._versions and (key[1] or key[0] not in self._entries):
            self._add(key, route)

    def measured(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.measured`: what is of this process always is."""
        return True

    async def measure(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.measure`."""

    def explain(self, name: str, version: str = "") -> dict[str, object]:
        """See `core.ports.Models.explain`."""
        entry = self.find(name, version)
        events = [event._asdict() for event in self.journal.of(entry.spec.name)]
        facts = {**entry.explain(), "route": self._route_facts(entry), "events": events}
        return {**facts, "why": why.sentences(facts)}

    def _route_facts(self, entry: Entry) -> dict[str, object]:
        """Which version is served, and what says so."""
        route = entry.route or self._source.known(entry.key)
        if route is None:
            return {}
        service, target = route.service, route.target
        facts: dict[str, object] = {
            "namespace": service.model_namespace,
            "model": service.model,
            "by": "the namespace's policy" if route.implicit else f"service {service.address}",
            "ref": entry.key[1] or service.ref,
            "revision": route.revision,
        }
        return {**facts, "version": target.version, "digest": target.digest} if target else facts

    def versions(self, name: str) -> list[Entry]:
        """See `core.ports.Models.versions`: those that were asked for so far."""
        own = [self._entries[name]] if name in self._entries else []
        named = [entry for (address, _), entry in self._versions.items() if address == name] if self._versions else []
        return sorted([*own, *named], key=lambda each: (len(each.spec.version), each.spec.version))

    def all(self) -> list[Entry]:
        """See `core.ports.Models.all`."""
        entries = [*self._entries.values(), *self._versions.values()]
        return sorted(entries, key=lambda each: (each.spec.name, len(each.spec.version), each.spec.version))

    def running(self) -> list[Entry]:
        """What has a runner now, in no order: what is looked at again and again, of however many are known."""
        return list(self._running.values())

    def some(self, limit: int) -> Iterable[str]:
        """See `core.ports.Models.some`."""
        return itertools.islice(self._entries, limit)

    def ready(self) -> bool:
        """See `core.ports.Models.ready`."""
        return self.settled

    async def load(self, name: str, config: str | None = None) -> None:
        """See `core.ports.Models.load`."""
        if config is not None:
            raise Unsupported("the settings of a registered model belong to its service", hint="`shoal deploy -f FILE`")
        if name not in self._entries:
            await self.discover(name)
        entry = self.find(name)
        entry.retry_at = 0.0
        await self._up(entry)
        if entry.runner is None:
            raise NotReady(f"model {name!r} is not ready: {entry.failure}")

    async def unload(self, name: str) -> None:
        """See `core.ports.Models.unload`: out of memory; the next request loads it again."""
        entries = self.versions(name)
        if not entries:
            raise NotFound(f"there is no model {name!r}")
        if any(each.route is not None and each.route.must_run for each in entries):
            raise Unsupported(f"{name!r} is a service that is to run", hint=f"`shoal undeploy {name}` ends it")
        await asyncio.gather(*(self.lifecycle.put_to_sleep(entry, "it was unloaded") for entry in entries))

    # What control's changes ask

    async def ensure(self, route: Route) -> None:
        """Run a service that runs without being called; a failure is its own and is told by its state."""
        key = (route.service.address, "")
        if not self._owns(key[0]):
            return
        entry = self._entries.get(key[0]) or self._add(key, route)
        entry.must_run = True
        self._mark(entry, explicit=not route.implicit)
        await self._up(entry)

    async def _up(self, entry: Entry) -> None:
        """Return when it is in memory, or could not be brought there."""
        self.lifecycle.wake(entry)
        if entry.waking is not None:
            await asyncio.wait((entry.waking,))

    def awake(self, key: Key) -> bool:
        """Whether it is in memory, or on its way there."""
        entry = self._entry(key)
        return entry is not None and entry.awake

    def reconsider(self, key: Key) -> None:
        """Something has changed about what is not in memory: whatever kept it from being loaded may be over."""
        self._lookups.forget(key)
        if (entry := self._entry(key)) is not None:
            entry.forget_failure()

    async def refresh(self, key: Key) -> None:
        """Something about this address has changed: ask, and apply what is new.

        Raises:
            Unavailable: control does not answer; nothing has changed here.
        """
        entry = self._entry(key)
        try:
            route = await self._source.ask(key)
        except NotFound as error:
            if entry is not None:
                await self.lifecycle.remove(entry, error.message)
            return
        finally:
            self._lookups.forget(key)
        if entry is not None:
            self._mark(entry, explicit=not route.implicit)
            entry.must_run = route.must_run and not key[1] and self._owns(key[0])
            await self.lifecycle.apply(entry, route)
        if route.must_run and not key[1]:
            await self.ensure(route)

    def _entry(self, key: Key) -> Entry | None:
        return self._versions.get(key) if key[1] else self._entries.get(key[0])

    def status(self) -> tuple[ServiceStatus, ...]:
        """How the services with a `service.yaml` do, for control."""
        return tuple(entry.status() for entry in self._services.values())

    async def stop(self, grace: float) -> None:
        """Drain everything for at most `grace` seconds, then stop what is left."""
        await self._lookups.close()
        await self.lifecycle.close()
        entries = self.all()
        for entry in entries:
            if entry.pending is not None:
                entry.pending.fail(lambda: Unavailable("the node stops", retry_after=1.0))
        runners = [entry.runner for entry in entries if entry.runner is not None]
        draining = [asyncio.ensure_future(runner.drain()) for runner in runners]
        if draining:
            await asyncio.wait(draining, timeout=grace)
        for task in draining:
            task.cancel()
        await asyncio.gather(*draining, *(runner.stop() for runner in runners), return_exceptions=True)
        for entry in entries:
            if entry.prepared is not None:
                entry.prepared.release()

    def _add(self, key: Key, route: Route) -> Entry:
        entry = Entry(key, asleep_spec(key, route))
        self._mark(entry, explicit=not route.implicit)
        self.lifecycle.lay_down(entry)
        if route.target is None:
            entry.failure = route.reason
        if key[1]:
            self._versions[key] = entry
        else:
            self._entries[key[0]] = entry
        return entry

    def _mark(self, entry: Entry, *, explicit: bool) -> None:
        """Whether there is a `service.yaml` behind it."""
        if explicit and not entry.key[1]:
            self._services[entry.key[0]] = entry
        else:
            self._forget_service(entry)

    def _changed(self, entry: Entry) -> None:
        if entry.runner is not None:
            self._running[entry.key] = entry
        elif self._running.get(entry.key) is entry:
            del self._running[entry.key]

    def _forget_service(self, entry: Entry) -> None:
        if self._services.get(entry.key[0]) is entry:
            del self._services[entry.key[0]]

    def _drop(self, entry: Entry) -> None:
        self._forget_service(entry)
        if entry.key[1]:
            self._versions.pop(entry.key, None)
        elif self._entries.get(entry.key[0]) is entry:
            del self._entries[entry.key[0]]
