"""A node as a process: signals, memory, the exit code."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop
from google.protobuf.internal import api_implementation

from shoal.core.allocator import keep_freed_memory
from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings
from shoal.node.node import Node

logger = logging.getLogger(__name__)

COLLECT = (1_000, 4, 100)
"""Thresholds of the garbage collector's three generations."""
SWITCH_SECONDS = 5e-6
"""How long a thread that fetches or looks at files may keep the interpreter from the loop that answers requests. So
short because a thread that waits is only heard once it has waited for so long without the lock being free in between,
and whoever reads files lets go of it for a moment all the time."""


def run(settings: NodeSettings, paths: Sequence[Path], on_ready: Callable[[Node], None]) -> int:
    """Run a node until SIGTERM or SIGINT; a second signal ends it at once.

    Returns:
        The process's exit code: 0 after a graceful stop, 1 when something was cut off.
    """
    _refuse_slow_protobuf()
    keep_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, paths, on_ready))


def _refuse_slow_protobuf() -> None:
    """The pure-Python backend is slow, and deep messages exhaust its stack."""
    if (backend := api_implementation.Type()) != "upb":
        raise ConfigError(
            f"protobuf runs on its {backend!r} backend, which is not safe to serve with",
            hint="unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, and install protobuf from a wheel",
        )


async def _run(settings: NodeSettings, paths: Sequence[Path], on_ready: Callable[[Node], None]) -> int:
    stopping = _on_signals()
    node = Node(settings, paths)
    try:
        starting = asyncio.ensure_future(node.start())
        both: list[asyncio.Future[None] | asyncio.Future[str]] = [starting, stopping]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            starting.result()
            _settle_memory()
            on_ready(node)
            await stopping
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        logger.info("stopping", extra={"reason": stopping.result()})
    finally:
        await node.stop(settings.grace_seconds)
    return 0


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
