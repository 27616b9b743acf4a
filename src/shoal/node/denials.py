"""What the data port has denied, told to control's audit log every few seconds; without a control, to the log.

A batch that control has not taken is kept as it is and sent again under the same key, so that it is recorded once; what
comes meanwhile is counted in the guard, where there is a bound of it. So nothing grows while control is away, and
nothing is left out of the counts. What cannot be told at the end is in the log.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from shoal.core.errors import ShoalError, Unavailable
from shoal.core.keyring import Denied, DeniedBatch
from shoal.core.tasks import Tasks
from shoal.serving.gateway.guard.denials import Denials

logger = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two batches."""
LAST = 2.0
"""Seconds that the last batch may take when the process ends."""

Send = Callable[[DeniedBatch, str], Awaitable[None]]
"""Tells control of a batch; the same key stands for the same batch."""


class Reporting:
    """See the module.

    Args:
        denials: of the guard.
        send: tells control; None: there is none.
        every: seconds between two batches.
    """

    def __init__(self, denials: Denials, send: Send | None, *, every: float = EVERY) -> None:
        self._denials = denials
        self._send = send
        self._every = every
        self._unsent: tuple[DeniedBatch, str] | None = None
        self._away = False
        self._tasks = Tasks()

    def start(self) -> None:
        """Tell from now on."""
        self._tasks.start("tell of denied attempts", self._run())

    async def stop(self) -> None:
        """Tell what is left, if that can be done soon; tell no more."""
        await self._tasks.close()
        try:
            async with asyncio.timeout(LAST):
                while self._unsent or len(self._denials):
                    if not await self.tell():
                        break
        except TimeoutError:
            pass
        unsent, self._unsent = self._unsent, None
        _log((*(unsent[0].attempts if unsent else ()), *self._denials.take()))

    async def tell(self) -> bool:
        """Tell one batch, first the one that was not taken before; whether there is none that waits any more."""
        if self._unsent is None:
            attempts = self._denials.take()
            if not attempts:
                return True
            if self._send is None:
                _log(attempts)
                return True
            self._unsent = DeniedBatch(attempts), secrets.token_hex(16)
        return await self._sent(*self._unsent)

    async def _sent(self, batch: DeniedBatch, key: str) -> bool:
        assert self._send is not None
        try:
            await self._send(batch, key)
        except Unavailable as error:
            if not self._away:
                logger.warning("control does not take what was denied, it is told later: %s", error)
            self._away = True
            return False
        except ShoalError as error:
            logger.error("control refuses what was denied, the log has it: %s", error)
            _log(batch.attempts)
        self._unsent, self._away = None, False
        return True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.tell()
            except Exception:
                logger.exception("what was denied could not be told; it is tried again")


def _log(attempts: Iterable[Denied]) -> None:
    """One line for each, as JSON."""
    for each in attempts:
        logger.warning("denied %s", msgspec.json.encode(each).decode())
