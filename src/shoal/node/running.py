"""A role as a process: signals, memory, the exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

import uvloop

from shoal.core.allocator import keep_freed_memory

logger = logging.getLogger(__name__)

COLLECT = (10_000, 10, 100)
"""Thresholds of the garbage collector's three generations: the first is more than what a full house of requests has in
flight, so that collections come with what stays only."""
SWITCH_SECONDS = 5e-6
"""How long a thread that fetches or looks at files may keep the interpreter from the loop that answers requests. So
short because a thread that waits is only heard once it has waited for so long without the lock being free in between,
and whoever reads files lets go of it for a moment all the time."""


class Role(Protocol):
    """What a process of ours does: all of a node, or a part of it."""

    async def start(self) -> None:
        """Return when it is ready.

        Raises:
            ConfigError: it cannot be.
        """

    async def stop(self, grace: float) -> bool:
        """Take nothing new, finish what was accepted within `grace` seconds, end; whether all of it was finished."""
        ...


R = TypeVar("R", bound=Role)


def run(make: Callable[[], R], grace: float, on_ready: Callable[[R], None]) -> int:
    """Run a role until SIGTERM or SIGINT; a second signal ends it at once.

    Args:
        make: makes it, inside the event loop.
        grace: seconds to finish what was accepted.
        on_ready: told when it is ready.

    Returns:
        The process's exit code: 0 after a graceful stop, 1 when something was cut off.
    """
    keep_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(make, grace, on_ready))


async def _run(make: Callable[[], R], grace: float, on_ready: Callable[[R], None]) -> int:
    stopping = _on_signals()
    role = make()
    whole = False
    try:
        starting = asyncio.ensure_future(role.start())
        both: list[asyncio.Future[None] | asyncio.Future[str]] = [starting, stopping]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            starting.result()
            _settle_memory()
            on_ready(role)
            await stopping
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        logger.info("stopping", extra={"reason": stopping.result()})
    finally:
        whole = await role.stop(grace)
    if not whole:
        logger.error("some requests were cut off: they took longer than the grace of %g s", grace)
    return 0 if whole else 1


def _on_signals() -> asyncio.Future[str]:
    """A future that the first SIGTERM or SIGINT completes; the second ends the process."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[str] = loop.create_future()

    def received(number: int) -> None:
        if stopping.done():
            os._exit(128 + number)
        stopping.set_result(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    return stopping


def _settle_memory() -> None:
    """What lives now lives long: keep the garbage collector from walking it over and over.

    What comes later is looked at in small parts: fifty thousand objects at once would stop the loop for a tenth of a
    second. There is little to find, as neither requests nor models that come and go leave cycles behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    sys.setswitchinterval(SWITCH_SECONDS)
