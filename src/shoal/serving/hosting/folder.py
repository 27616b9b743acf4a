"""The models of files: `shoal serve DIR`.

All versions are known from the start and loaded at once. Replacing is make-before-break: the new runner is started and
probed, then calls go to it, then the old one is drained; if the new one fails, the old one goes on as if nothing had
happened.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable

from shoal.core.errors import ConfigError, NotFound, ShoalError
from shoal.core.model import ModelSpec, ModelState
from shoal.serving.hosting import why
from shoal.serving.hosting.handle import Hosted, MakeRunner

logger = logging.getLogger(__name__)


class FolderModels:
    """All models of this node; implements `core.ports.Models`.

    Args:
        make_runner: makes the batcher and workers of a version.
        read_specs: the repository as it is now: all versions of a model by name (empty: no such model), with the
            overriding fields of a load request applied.
        loads_at_once: how many models load at the same time; more would only make each of them late.
    """

    def __init__(
        self,
        make_runner: MakeRunner,
        read_specs: Callable[[str, str | None], list[ModelSpec]],
        *,
        loads_at_once: int = 4,
    ) -> None:
        self._make_runner = make_runner
        self._read_specs = read_specs
        self._models: dict[str, dict[str, Hosted]] = {}
        self._default: dict[str, Hosted] = {}
        self._gate = asyncio.Semaphore(loads_at_once)
        self.on_change: list[Callable[[], None]] = []
        """Called after the set of models has changed."""

    def find(self, name: str, version: str = "") -> Hosted:
        """See `core.ports.Models.find`."""
        handle = self._models.get(name, {}).get(version) if version else self._default.get(name)
        if handle is None:
            raise self._unknown(name, version)
        return handle

    def discoverable(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.discoverable`: what is in no folder is nowhere."""
        return False

    async def discover(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.discover`."""
        raise self._unknown(name, version)

    def ready(self) -> bool:
        """See `core.ports.Models.ready`. A model that failed makes itself unready, never its neighbours."""
        states = [handle.state for handle in self.all()]
        return ModelState.LOADING not in states and (not states or ModelState.READY in states)

    def _unknown(self, name: str, version: str) -> NotFound:
        versions = [known for known in self._models.get(name, {}) if known]
        if name in self._models and version:
            return NotFound(
                f"model {name!r} has no version {version!r}", hint=f"versions: {', '.join(versions) or 'none'}"
            )
        return NotFound(f"there is no model {name!r}", hint="GET /v2/models or POST /v2/repository/index lists them")

    def measured(self, name: str, version: str = "") -> bool:
        """See `core.ports.Models.measured`: what is of this process always is."""
        return True

    async def measure(self, name: str, version: str = "") -> None:
        """See `core.ports.Models.measure`."""

    def explain(self, name: str, version: str = "") -> dict[str, object]:
        """See `core.ports.Models.explain`."""
        facts = self.find(name, version).explain()
        return {**facts, "why": why.sentences(facts)}

    def versions(self, name: str) -> list[Hosted]:
        """See `core.ports.Models.versions`."""
        return list(self._models.get(name, {}).values())

    def all(self) -> list[Hosted]:
        """See `core.ports.Models.all`."""
        return [handle for name in sorted(self._models) for handle in self._models[name].values()]

    def some(self, limit: int) -> Iterable[str]:
        """See `core.ports.Models.some`."""
        return itertools.islice(self._models, limit)

    async def load(self, name: str, config: str | None = None) -> None:
        """See `core.ports.Models.load`."""
        specs = self._read_specs(name, config)
        if not specs:
            raise self._unknown(name, "")
        await self._apply(name, specs)

    async def unload(self, name: str) -> None:
        """See `core.ports.Models.unload`."""
        handles = self.versions(name)
        if not handles:
            raise self._unknown(name, "")
        await asyncio.gather(*(self._retire(handle, "it was unloaded") for handle in handles))

    async def serve(self, specs: Iterable[ModelSpec]) -> list[ShoalError]:
        """Load all these versions, some at a time; return what failed. The others are served all the same."""
        outcomes = await asyncio.gather(*(self._start(self._add(spec), spec) for spec in specs), return_exceptions=True)
        return _errors(outcomes)

    async def remove(self, name: str) -> None:
        """Drain a model and forget it: its files are gone."""
        await self.unload(name)
        self._models.pop(name, None)
        self._choose(name)

    async def stop(self, grace: float) -> None:
        """Drain everything for `grace` seconds, then stop what is left."""
        runners = [handle.runner for handle in self.all() if handle.runner]
        draining = [asyncio.ensure_future(runner.drain()) for runner in runners]
        if draining:
            await asyncio.wait(draining, timeout=grace)
        for task in draining:
            task.cancel()
        await asyncio.gather(*draining, *(runner.stop() for runner in runners), return_exceptions=True)

    async def _apply(self, name: str, specs: list[ModelSpec]) -> None:
        outcomes = await asyncio.gather(*(self._start(self._add(spec), spec) for spec in specs), return_exceptions=True)
        wanted = {spec.version for spec in specs}
        gone = [handle for handle in self.versions(name) if handle.spec.version not in wanted]
        for handle in gone:
            await self._retire(handle, "its files are gone")
            del self._models[name][handle.spec.version]
        self._choose(name)
        if errors := _errors(outcomes):
            raise errors[0]

    def _add(self, spec: ModelSpec) -> Hosted:
        versions = self._models.setdefault(spec.name, {})
        handle = versions.get(spec.version)
        if handle is None:
            handle = versions[spec.version] = Hosted(spec)
            self._models[spec.name] = dict(sorted(versions.items(), key=lambda item: _version_order(item[0])))
            self._choose(spec.name)
        return handle

    async def _start(self, handle: Hosted, spec: ModelSpec) -> None:
        async with handle.change, self._gate:
            runner = self._make_runner(spec)
            handle.loading = True
            try:
                await runner.start()
            except BaseException as error:
                await runner.stop()
                self._failed(handle, error)
                raise
            finally:
                handle.loading = False
            old = handle.serve(spec, runner)
            self._choose(spec.name)
            logger.info("model ready", extra={"model": spec.name, "version": spec.version, "runtime": spec.runtime})
        if old is not None:
            await old.drain()

    def _failed(self, handle: Hosted, error: BaseException) -> None:
        if handle.runner is None:
            handle.failure = str(error) or type(error).__name__
        logger.error(
            "model failed to load: %s", error, extra={"model": handle.spec.name, "version": handle.spec.version}
        )

    async def _retire(self, handle: Hosted, why: str) -> None:
        async with handle.change:
            old = handle.retire(why)
            self._choose(handle.spec.name)
            if old is not None:
                await old.drain()

    def _choose(self, name: str) -> None:
        """The version that is served when none is asked for: the highest that is ready, else the highest."""
        handles = self.versions(name)
        ready = [handle for handle in handles if handle.state is ModelState.READY]
        if handles:
            self._default[name] = (ready or handles)[-1]
        else:
            self._default.pop(name, None)
        for tell in self.on_change:
            tell()


def _version_order(version: str) -> tuple[int, str]:
    return (int(version), "") if version.isdecimal() else (-1, version)


def _errors(outcomes: Iterable[BaseException | None]) -> list[ShoalError]:
    errors: list[ShoalError] = []
    for outcome in outcomes:
        if isinstance(outcome, ShoalError):
            errors.append(outcome)
        elif isinstance(outcome, Exception):
            errors.append(ConfigError(f"{type(outcome).__name__}: {outcome}"))
        elif outcome is not None:
            raise outcome
    return errors
