"""Requests for models that this node has not been asked for yet.

Whoever answers a request for a model tries to; if the model is not known here but may be known elsewhere, it is looked
for, and the request is tried once more. The same for figures of a model that are not of the moment. Nothing of this is
on the way of a model that is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shoal.core.errors import NotFound, Overloaded, ShoalError, Unavailable
from shoal.core.ports import Models
from shoal.core.tasks import Tasks
from shoal.serving.gateway import lookup, problems

AT_ONCE = 10_000
"""Requests that may wait for a model to be looked for."""

Attempt = Callable[[], None]
Fail = Callable[[ShoalError], None]
Work = Callable[[], Awaitable[None]]


class Seeker:
    """Owns the look-ups that are under way."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._waiting = 0

    def run(self, models: Models, name: str, version: str, attempt: Attempt, fail: Fail) -> None:
        """Answer a request for a model; look for the model if need be.

        Args:
            models: those that whoever asks may see.
            name, version: as the client wrote them; checked before anything is asked.
            attempt: answers the request; raises `NotFound` before it has answered if the model is not known.
            fail: answers it with an error.
        """
        try:
            attempt()
        except NotFound as error:
            if _worth_it(models, name, version):
                self.look(models, name, version, attempt, fail)
            else:
                fail(error)

    def look(self, models: Models, name: str, version: str, attempt: Attempt, fail: Fail) -> None:
        """Look for the model, then answer."""
        self._start(f"look for {name}", lambda: models.discover(name, version), attempt, fail)

    def measure(self, models: Models, name: str, version: str, attempt: Attempt, fail: Fail) -> None:
        """Answer a request for the figures of a model, as they are now.

        Raises:
            NotFound: the model is not known; nothing is answered.
        """
        lookup.find(models, name, version)
        if models.measured(name, version):
            attempt()
        else:
            self._start(f"measure {name}", lambda: models.measure(name, version), attempt, fail)

    async def close(self) -> None:
        """End what is under way; who waits is told."""
        await self._tasks.close()

    def _start(self, what: str, work: Work, attempt: Attempt, fail: Fail) -> None:
        if self._waiting >= AT_ONCE:
            fail(Overloaded(f"{AT_ONCE} requests wait for models to be found", retry_after=1.0))
            return
        self._waiting += 1
        self._tasks.start(what, self._after(work, attempt, fail))

    async def _after(self, work: Work, attempt: Attempt, fail: Fail) -> None:
        try:
            await work()
            attempt()
        except asyncio.CancelledError:
            fail(Unavailable("the node stops", retry_after=1.0))
            raise
        except ShoalError as error:
            fail(error)
        except Exception as error:  # noqa: BLE001 - a bug is answered like any other error, and logged with its trace
            fail(problems.unexpected(error))
        finally:
            self._waiting -= 1


def _worth_it(models: Models, name: str, version: str) -> bool:
    try:
        lookup.checked_name(name)
        if version:
            lookup.checked_name(version, "model version")
    except ShoalError:
        return False
    return models.discoverable(name, version)
