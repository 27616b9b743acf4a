"""Workers on other machines, as the settings of a proxy or a node say (`serving.remote`)."""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.clock import monotonic
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.node.roles.peers import hosts_of
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.batching.waiting.turns import WeightOf
from shoal.serving.remote import Crew, RemoteWorkers


def crew_of(settings: NodeSettings, metrics: Metrics) -> Crew | None:
    """The hosts of workers that the settings name; None: workers are children of this process.

    Raises:
        ConfigError: nothing says with which certificate to reach them.
    """
    directory = hosts_of(settings)
    return None if directory is None else Crew(directory, name=settings.name, metrics=metrics)


def runner_elsewhere(
    spec: ModelSpec,
    crew: Crew,
    *,
    instruments: Instruments,
    weight_of: WeightOf,
    labels: tuple[str, str] | None = None,
    spread: bool = False,
    idle_seconds: float | None = None,
    on_idle: Callable[[str], None] = lambda why: None,
) -> ModelRunner:
    """A model version whose batches are run by these hosts; see `RemoteWorkers` and `ModelRunner`."""
    workers = RemoteWorkers(spec, crew, spread=spread, idle_seconds=idle_seconds)
    runner = ModelRunner(
        spec, instruments=instruments, clock=monotonic, workers=workers, labels=labels, weight_of=weight_of
    )
    workers.on_scale = lambda ready: runner.dispatch.share(max(ready, 1))
    workers.on_aside = runner.dispatch.proceed_quarantine
    workers.on_idle = on_idle
    return runner
