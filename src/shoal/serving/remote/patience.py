"""How long hosts are waited for: at the start of a model, and when it has lost the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from shoal.core.errors import ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.serving.remote.seat import Seat, may_pass

PATIENCE = 10.0
"""How long a start waits for refusals to pass: for files of hosts to become those of the proxy, say."""
LONELY_SECONDS = 5.0
"""How long a model may be without any worker before its callers are told so; until then they wait."""


class Start:
    """A start that is under way. Made inside a running event loop.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._outcome: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self._patient_until = now + PATIENCE

    async def outcome(self) -> Loaded:
        """What the first host that can run the model says of it.

        Raises:
            ShoalError: none can.
        """
        return await self._outcome

    def opened(self, loaded: Loaded) -> None:
        """A host can run it."""
        if not self._outcome.done():
            self._outcome.set_result(loaded)

    def fail(self, error: ShoalError) -> None:
        """It is over."""
        if not self._outcome.done():
            self._outcome.set_exception(error)

    def consider(self, seats: Collection[Seat], now: float) -> None:
        """Give up when all hosts that are there have refused the model, and will not have it in a moment."""
        errors = [each.refusal for each in seats if each.refusal is not None]
        if not errors or len(errors) < len(seats):
            return
        if now >= self._patient_until or not any(may_pass(each) for each in errors):
            self.fail(errors[0])


class Loneliness:
    """Since when a model has no host that runs it, or sees to it that workers are there again. Pure."""

    def __init__(self) -> None:
        self._since: float | None = None

    def look(self, now: float, *, company: bool) -> bool:
        """Whether it has been alone for too long; to be asked now and then."""
        if company:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= LONELY_SECONDS
