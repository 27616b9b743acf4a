"""Those who wait for a model to come into a worker."""

from __future__ import annotations

import asyncio

from shoal.core.errors import ShoalError
from shoal.core.ipc.messages import Loaded


class Arrivals:
    """See the module. Each one waits for one arrival, or for the reason why there is none."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[Loaded]] = []

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def expect(self) -> asyncio.Future[Loaded]:
        """What the next arrival tells."""
        future: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def came(self, loaded: Loaded) -> None:
        """The model is there: tell all who wait."""
        for future in self._all():
            future.set_result(loaded)

    def fail(self, error: ShoalError) -> None:
        """It will not come: tell all who wait."""
        for future in self._all():
            future.set_exception(error)

    def _all(self) -> list[asyncio.Future[Loaded]]:
        waiting, self._waiting = self._waiting, []
        return [future for future in waiting if not future.done()]
