"""What is served of folders: `shoal serve DIR`, and how it follows their changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from shoal.control import folder
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError, ShoalError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.overrides import override
from shoal.core.settings.tenants import weight_of
from shoal.core.tasks import Tasks
from shoal.node.apps import Apps
from shoal.node.confining import confiner_of
from shoal.node.content.elsewhere import crew_of, runner_elsewhere
from shoal.node.memory import used_of
from shoal.node.pressure import PressureWatch
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.hosting.folder import FolderModels
from shoal.serving.pool.pool import Pool

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""How often files are looked at under `watch`."""


class Files:
    """Every model of the given paths; a `base.Content`.

    Args:
        settings: of the node.
        metrics: of the node.
        paths: model files, model folders, or folders full of them.
    """

    def __init__(self, settings: NodeSettings, metrics: Metrics, paths: Sequence[Path]) -> None:
        self.settings = settings
        self.problems: list[folder.Problem] = []
        self._confiner = confiner_of(settings, metrics)
        self._crew = crew_of(settings, metrics)
        self.apps = Apps(self._confiner)
        self.models = FolderModels(self._make_runner, self._read_specs)
        self._instruments = Instruments(metrics)
        self._weight_of = weight_of(settings.tenants)
        self._pressure = PressureWatch(
            lambda: (runner.dispatch for runner in self.runners()),
            lambda small: None,
            used=used_of(settings.memory),
            waiting=settings.waiting,
            metrics=metrics,
            clock=monotonic,
        )
        self._paths = list(paths)
        self._first = folder.Scan()
        self._tasks = Tasks()

    def check(self) -> None:
        """See `base.Content`."""
        self._first = self._scan()
        if not self._first.specs:
            raise nothing_to_serve(self._paths, self._first)
        self.problems = list(self._first.problems)
        for problem in self.problems:
            logger.error("skipped: %s", problem.error, extra={"model": problem.name})

    async def start(self, url: str) -> None:
        """See `base.Content`."""
        specs = [adjusted(spec, self.settings) for spec in self._first.specs]
        self.apps.serve(specs)
        if self._crew is not None:
            await self._crew.start()
        await self.models.serve(specs)
        self._tasks.start("memory", self._pressure.run())
        if self.settings.watch:
            trust = self.settings.trust
            watching = folder.watch(self._paths, WATCH_SECONDS, self._changed, trust=trust, first=self._first)
            self._tasks.start("watch", watching)

    async def settle(self) -> None:
        """See `base.Content`."""
        await self._tasks.close()

    async def stop(self, grace: float) -> None:
        """See `base.Content`."""
        await self.apps.stop()
        await self.models.stop(grace)
        if self._crew is not None:
            await self._crew.close()
        if self._confiner is not None:
            self._confiner.close()

    def runners(self) -> Iterator[ModelRunner]:
        """See `base.Content`."""
        return (handle.runner for handle in self.models.all() if isinstance(handle.runner, ModelRunner))

    def _make_runner(self, spec: ModelSpec) -> ModelRunner:
        if self._crew is not None:
            return runner_elsewhere(spec, self._crew, instruments=self._instruments, weight_of=self._weight_of)
        workers = Pool(spec, clock=monotonic, confiner=self._confiner)
        return ModelRunner(
            spec,
            instruments=self._instruments,
            clock=monotonic,
            workers=workers,
            weight_of=self._weight_of,
        )

    def _scan(self) -> folder.Scan:
        return folder.scan(self._paths, trust=self.settings.trust)

    def _read_specs(self, name: str, config: str | None) -> list[ModelSpec]:
        scan = self._scan()
        found = [adjusted(spec, self.settings) for spec in scan.specs if spec.name == name]
        if not found and (problem := next((each for each in scan.problems if each.name == name), None)):
            raise problem.error
        return found if config is None else [override(spec, config) for spec in found]

    async def _changed(self, diff: folder.Diff) -> None:
        """Follow the files: what is new or changed is loaded, what is gone is drained."""
        for problem in diff.problems:
            logger.error("refused: %s", problem.error, extra={"model": problem.name})
        for name in sorted(diff.removed):
            await self.models.remove(name)
        outcomes = await asyncio.gather(
            *(self.models.load(name) for name in sorted(diff.added | diff.changed)), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                logger.error("a changed model was refused; what was served goes on: %s", outcome)
        await self.apps.drop(diff.removed | diff.changed)
        self.apps.serve([handle.spec for handle in self.models.all()])


def adjusted(spec: ModelSpec, settings: NodeSettings) -> ModelSpec:
    """The spec with what a node's own settings say."""
    if variables := settings.worker_variables:
        spec = msgspec.structs.replace(spec, environment={**spec.environment, **variables})
    if settings.workers is None:
        return spec
    limits = msgspec.structs.replace(spec.limits, workers=settings.workers)
    return msgspec.structs.replace(spec, limits=limits)


def nothing_to_serve(paths: Sequence[Path], scan: folder.Scan) -> ShoalError:
    """What to say when there is no model at all."""
    if len(scan.problems) == 1:
        return scan.problems[0].error
    told = "; ".join(f"{problem.name}: {problem.error}" for problem in scan.problems) or "no model file was found"
    return ConfigError(
        f"nothing to serve in {', '.join(map(str, paths))}: {told}",
        hint="put model files such as iris.joblib or net.onnx there, or start with `shoal init`",
    )
