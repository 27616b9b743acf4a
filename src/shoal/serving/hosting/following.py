"""Control's feed of changes, applied to what this node serves; and how it does, told to control.

`Follower` asks for what comes after the last position that it has applied, and waits there for more. A change of what
is not in memory costs nothing but a mark on disk. When control is silent, nothing is lost: it is asked again, with a
back-off, and the feed goes on where it was left. `Reporter` tells control about the services.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from shoal.core.errors import ShoalError
from shoal.core.routes import Feed, NodeStatus
from shoal.core.service import address
from shoal.core.tasks import Tasks
from shoal.serving.hosting.routed import RoutedModels
from shoal.serving.hosting.source import Control, RouteSource
from shoal.serving.hosting.state import Key, RouteState

logger = logging.getLogger(__name__)

WAIT = 20.0
"""Seconds that one question for changes may wait at control."""
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0
"""Seconds between two questions when control does not answer."""
AT_ONCE = 32
"""Changes that are applied at the same time."""

Sleep = Callable[[float], Awaitable[None]]


class Follower:
    """See the module.

    Args:
        control: whom to ask.
        source: where routes come from.
        state: remembers the position.
        models: what is served.
        sleep: how to wait.

    Attributes:
        connected: whether control answered the last time; None before it was asked.
    """

    def __init__(
        self,
        control: Control,
        source: RouteSource,
        state: RouteState,
        models: RoutedModels,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._control = control
        self._source = source
        self._state = state
        self._models = models
        self._sleep = sleep
        self._tasks = Tasks()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._again: dict[Key, bool] = {}
        self.connected: bool | None = None

    async def start(self) -> None:
        """Bring up what runs without being called; return when each of it is ready or has failed."""
        position = await self._position()
        routes = await self._source.desired()
        await asyncio.gather(*(self._models.ensure(route) for route in routes))
        if position is not None:
            self._state.position = position
        self._models.settled = True

    async def _position(self) -> int | None:
        """Where to begin, asked before the services are, so that no change falls between; None: where it was left."""
        if self._state.position >= 0:
            return None
        self._state.touch_all()
        try:
            return (await self._control.feed(-1, 0.0)).position
        except ShoalError:
            return None

    async def run(self) -> None:
        """Follow until cancelled."""
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    feed = await self._control.feed(self._state.position, WAIT if self.connected else 0.0)
                except ShoalError as error:
                    self._lost(error)
                    await self._sleep(pause)
                    pause = min(LAST_PAUSE, pause * 2)
                else:
                    pause = FIRST_PAUSE
                    self._found()
                    self.take(feed)
        finally:
            await self._tasks.close()

    def take(self, feed: Feed) -> None:
        """Begin to apply a part of the feed."""
        if feed.reset:
            self._state.touch_all()
            keys: Iterable[Key] = [entry.key for entry in self._models.all()]
            self._tasks.start("start services again", self._start_again())
        else:
            keys = self._state.touch(feed.changes)
        services = {
            (address(each.name, each.environment, each.namespace), "")
            for each in feed.changes
            if each.kind == "service"
        }
        for key in {*keys, *services}:
            if key in services or self._models.awake(key) or self._state.runs(key):
                self._refresh(key)
            else:
                self._models.reconsider(key)
        self._state.position = feed.position

    async def _start_again(self) -> None:
        for route in await self._source.desired():
            self._refresh((route.service.address, ""))

    def _refresh(self, key: Key) -> None:
        """Apply it; if it changes while that goes on, once more."""
        if key in self._again:
            self._again[key] = True
        else:
            self._again[key] = False
            self._tasks.start(f"refresh {key[0]}", self._apply(key))

    async def _apply(self, key: Key) -> None:
        pause = FIRST_PAUSE
        while True:
            self._again[key] = False
            try:
                async with self._gate:
                    await self._models.refresh(key)
            except ShoalError as error:
                logger.warning("a change could not be applied yet: %s", error, extra={"model": key[0]})
                self._again[key] = True
                await self._sleep(pause)
                pause = min(LAST_PAUSE, pause * 2)
            if not self._again[key]:
                del self._again[key]
                return

    def _lost(self, error: ShoalError) -> None:
        if self.connected is not False:
            logger.warning("control does not answer, serving goes on as it is: %s", error)
        self.connected = False

    def _found(self) -> None:
        if not self.connected:
            logger.info("following control")
        self.connected = True


class Reporter:
    """Tells control how the services of this node do.

    Args:
        control: whom to tell.
        status: what to tell.
        every: seconds between two looks; a change is told then.
        beat: seconds after which even the same is told again.
        sleep: how to wait.
    """

    def __init__(
        self,
        control: Control,
        status: Callable[[], NodeStatus],
        *,
        every: float = 0.5,
        beat: float = 5.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._control = control
        self._status = status
        self._every = every
        self._beats = max(1, round(beat / every))
        self._sleep = sleep

    async def run(self) -> None:
        """Report until cancelled; control's silence is not our trouble."""
        told: NodeStatus | None = None
        silent = 0
        while True:
            now = self._status()
            silent += 1
            if now != told or silent >= self._beats:
                told, silent = (now if await self._tell(now) else None), 0
            await self._sleep(self._every)

    async def _tell(self, status: NodeStatus) -> bool:
        try:
            await self._control.report(status)
        except ShoalError as error:
            logger.debug("a report was not taken: %s", error)
            return False
        return True
