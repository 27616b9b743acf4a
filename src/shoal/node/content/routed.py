"""What is served of a registry: `shoal serve`. Control says what; everything to go on without it is on this machine.

home/nodes/NAME/routes.db   the last good routes, and the place in control's feed
home/cache/                 model files, shared by all nodes of this machine
home/environments/          built environments of workers
home/services/              further files that services asked for
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence

from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.environments.environments import Environments
from shoal.control.folder import Problem
from shoal.core.clock import monotonic
from shoal.core.metrics import Metrics
from shoal.core.routes import NodeStatus
from shoal.core.settings.node import NodeSettings
from shoal.core.tasks import Tasks
from shoal.node.apps import Apps, FollowingApps
from shoal.node.asking import Asking
from shoal.node.content.hosts import Hosts
from shoal.node.content.keeping import Blobs, file_name, lock
from shoal.node.content.preparing import Preparing
from shoal.node.control import FoundControl, OwnControl, control_key, home_folder
from shoal.node.memory import used_of
from shoal.node.pressure import PressureWatch
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.caching.runner import CachedRunner
from shoal.serving.hosting.following import Follower, Reporter
from shoal.serving.hosting.journal import Journal
from shoal.serving.hosting.routed import RoutedModels
from shoal.serving.hosting.scaling import Scaler
from shoal.serving.hosting.source import RouteSource
from shoal.serving.hosting.state import RouteState

logger = logging.getLogger(__name__)


class Routed:
    """Every model and service that control knows; a `base.Content`.

    Args:
        settings: of the node.
        metrics: of the node.
        own_control: whether a control is started where the settings name none; else that of the home is followed.
        owns: which of the addresses that are to run without being called are this process's to run.

    Attributes:
        control_url: where control answers.
    """

    def __init__(
        self,
        settings: NodeSettings,
        metrics: Metrics,
        *,
        own_control: bool = True,
        owns: Callable[[str], bool] = lambda address: True,
    ) -> None:
        self.settings = settings
        self.problems: Sequence[Problem] = ()
        self._own = OwnControl(settings) if own_control and not settings.control else None
        self._found = FoundControl(settings)
        self._folder = home_folder(settings, "nodes", file_name(settings.name))
        self._lock = lock(self._folder, settings.name)
        self._state = RouteState(self._folder / "routes.db")
        self._asking = Asking(lambda: self.control_url, settings.environments, key=lambda: control_key(settings))
        self._cache = ArtifactCache(
            home_folder(settings, "cache"), Blobs(settings, lambda: self.control_url), settings.cache
        )
        environments = None if settings.workers_elsewhere else Environments(home_folder(settings, "environments"))
        self._preparing = Preparing(self._cache, environments, settings.folder / "services")
        self._journal = Journal()
        self._hosts = Hosts(settings, metrics)
        self.apps = Apps(self._hosts.confiner)
        unserved = metrics.counter(
            "shoal_unserved_total",
            "Requests that got an error while their model was not in memory.",
            ("code",),
        )
        source = RouteSource(self._asking, self._state)
        self.models = RoutedModels(
            source,
            self._preparing,
            self._hosts.make,
            journal=self._journal,
            clock=monotonic,
            count=lambda code: unserved.labels(code).inc(),
            owns=owns,
        )
        self._follower = Follower(self._asking, source, self._state, self.models)
        self._tasks = Tasks()
        self._pressure = PressureWatch(
            lambda: (runner.dispatch for runner in self._running()),
            self._hosts.shrink,
            used=used_of(settings.memory),
            waiting=settings.waiting,
            metrics=metrics,
            clock=monotonic,
        )
        following = FollowingApps(self.apps, self._tasks)
        self.models.lifecycle.on_change.append(
            lambda entry: following.changed(entry.key[0], entry.spec if entry.runner and not entry.key[1] else None)
        )

    @property
    def control_url(self) -> str:
        return self.settings.control or (self._own or self._found).url

    def check(self) -> None:
        """See `base.Content`: a registry may be empty."""

    async def start(self, url: str) -> None:
        """See `base.Content`."""
        if self._own is not None:
            await self._own.start()
        await self._hosts.start()
        await self._follower.start()
        self._tasks.start("follow control", self._follower.run())
        self._tasks.start("report", Reporter(self._asking, lambda: self._status(url)).run())
        self._tasks.start("memory", self._pressure.run())
        self._tasks.start("scale", Scaler(self.models.running, self.models.lifecycle, clock=monotonic).run())

    async def settle(self) -> None:
        """See `base.Content`."""
        await self._tasks.close()

    async def stop(self, grace: float) -> None:
        """See `base.Content`."""
        await self.apps.stop()
        await self.models.stop(grace)
        await self._hosts.stop()
        if self._own is not None:
            await self._own.stop()
        self._asking.close()
        self._preparing.close()
        self._cache.close()
        self._state.close()
        os.close(self._lock)

    def runners(self) -> Iterator[ModelRunner]:
        """See `base.Content`."""
        self._hosts.update_metrics()
        return self._running()

    def _running(self) -> Iterator[ModelRunner]:
        for entry in self.models.running():
            runner = entry.runner.inner if isinstance(entry.runner, CachedRunner) else entry.runner
            if isinstance(runner, ModelRunner):
                yield runner

    def _status(self, url: str) -> NodeStatus:
        return NodeStatus(
            node=self.settings.name, url=url, position=self._state.position, services=self.models.status()
        )
