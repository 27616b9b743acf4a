"""Long polls of the change feed: whoever has seen all waits here until there is more.

One look at the registry serves all who wait: at once when something was changed through this process (`ring`), and
every second besides, for changes that other processes have made. The number of those who wait is bounded. `close` lets
all of them go, so that a stop does not wait for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shoal.core.errors import Overloaded

EVERY_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0


class FeedWatch:
    """Waits for the feed to move. Used on one event loop; `ring` and `close` may be called from any thread.

    Args:
        position: reads the feed's position; runs in a thread.
        waiters: how many may wait at the same time.
    """

    def __init__(self, position: Callable[[], int], waiters: int) -> None:
        self._position = position
        self._limit = waiters
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, after: int, seconds: float) -> None:
        """Return when the feed's position may have left `after`, or after `seconds`.

        Raises:
            Overloaded: too many wait already.
        """
        if self._closed or seconds <= 0:
            return
        if len(self._waiting) >= self._limit:
            raise Overloaded("too many nodes wait for changes", hint="try again later", retry_after=1.0)
        waiter = self._looking().create_future()
        self._waiting[waiter] = after
        self.ring()
        try:
            async with asyncio.timeout(min(seconds, MAX_WAIT_SECONDS)):
                await waiter
        except TimeoutError:
            pass
        finally:
            del self._waiting[waiter]

    def ring(self) -> None:
        """Something was changed: look at once."""
        if self._loop is not None and self._rung is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    def close(self) -> None:
        """Let all go, now and from now on."""
        self._closed = True
        self.ring()

    def _looking(self) -> asyncio.AbstractEventLoop:
        """Look after those who wait from now on, if nobody does yet."""
        if self._loop is None or self._rung is None:
            self._loop, self._rung = asyncio.get_running_loop(), asyncio.Event()
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._look(self._rung), name="feed-watch")
        return self._loop

    async def _look(self, rung: asyncio.Event) -> None:
        """Runs while anybody waits; an error of the registry sends all away to ask, and be told, themselves."""
        await asyncio.sleep(0)
        while any(not waiter.done() for waiter in self._waiting):
            rung.clear()
            self._release(await self._read())
            if any(not waiter.done() for waiter in self._waiting):
                await self._pause(rung)

    async def _read(self) -> int:
        """The position; one that nobody has if it cannot be read."""
        try:
            return await asyncio.to_thread(self._position)
        except Exception:  # noqa: BLE001 - whoever is sent away reads the feed himself, and is told this error
            return -1

    async def _pause(self, rung: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(EVERY_SECONDS):
                await rung.wait()
        except TimeoutError:
            pass

    def _release(self, position: int) -> None:
        for waiter, after in self._waiting.items():
            if (self._closed or position != after) and not waiter.done():
                waiter.set_result(None)
