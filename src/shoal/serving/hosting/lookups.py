"""Looks elsewhere for models that are not known here: once for all who ask, and not again for a while if nobody knew.

What `find` of a `core.ports.Models` does not know is looked for by its `discover`; this is the part of it that does not
depend on where.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shoal.core.clock import Clock
from shoal.core.errors import NotFound, ShoalError, Unavailable
from shoal.core.tasks import Tasks
from shoal.serving.hosting.state import Key

UNKNOWN_SECONDS = 2.0
"""How long the word that there is no such model is believed."""
UNKNOWN_KEPT = 4096
"""Names of which that is remembered."""


class Lookups:
    """See the module.

    Args:
        look: asks elsewhere for a model, by name and version, and remembers what is told; raises `NotFound`, or what
            kept it from asking.
        clock: monotonic seconds.
        who: stops when this is closed, for whoever waits then.
    """

    def __init__(self, look: Callable[[Key], Awaitable[None]], *, clock: Clock, who: str) -> None:
        self._look = look
        self._clock = clock
        self._who = who
        self._unknown: dict[Key, float] = {}
        self._looking: dict[Key, asyncio.Task[ShoalError | None]] = {}
        self._tasks = Tasks()

    def worth(self, key: Key) -> bool:
        """Whether it makes sense to look: nobody has said of late that there is no such model."""
        until = self._unknown.get(key)
        return until is None or self._clock() >= until

    def forget(self, key: Key) -> None:
        """It may exist by now."""
        self._unknown.pop(key, None)

    async def find(self, key: Key) -> None:
        """Look for a model, together with all who do so now.

        Raises:
            NotFound: nobody knows it.
            ShoalError: who would know could not be asked.
        """
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = self._tasks.start(f"look for {key[0]}", self.once(key))
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        await asyncio.wait((looking,))
        error = Unavailable(f"{self._who} stops") if looking.cancelled() else looking.result()
        if error is not None:
            raise type(error)(error.message, hint=error.hint, retry_after=error.retry_after)

    async def once(self, key: Key) -> ShoalError | None:
        """Ask now; what went wrong, if anything did."""
        try:
            await self._look(key)
        except NotFound as error:
            if len(self._unknown) >= UNKNOWN_KEPT:
                self._unknown.clear()
            self._unknown[key] = self._clock() + UNKNOWN_SECONDS
            return error
        except ShoalError as error:
            return error
        self._unknown.pop(key, None)
        return None

    async def close(self) -> None:
        """End what is under way; who waits is told."""
        await self._tasks.close()
