"""A control of the node's own: a child process, started again when it ends, and never missed while it is away.

`shoal serve` without a URL of a control runs one on this machine. If one uses the home already, that one is followed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
from pathlib import Path
from urllib.parse import urlsplit

from shoal.control.home import found
from shoal.control.home_key import found_key
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.secret_files import read_secret
from shoal.core.tasks import Tasks
from shoal.node.tree.child import Child, End, Told
from shoal.serving.pool.processes.stopping import stop
from shoal.serving.pool.supervisor import Supervisor

logger = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""How long the first start may take before the node goes on without it."""
STOP_SECONDS = 15.0
"""Time for it to end after SIGTERM."""
KEY = "SHOAL_CONTROL_KEY"
IN_USE = 3
"""Seconds between two looks at a home that another control uses."""


class OwnControl:
    """See the module.

    Args:
        settings: of the node: home, port, trust.
        clock: monotonic seconds.

    Attributes:
        url: where it answers; "" while it never has.
    """

    def __init__(self, settings: NodeSettings, clock: Clock = monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._tasks = Tasks()
        self._ready = asyncio.Event()
        self._supervisor = Supervisor(random.random)
        self._child: Child | None = None
        self._failure: End | None = None
        self._announced = ""
        self.url = ""

    async def start(self) -> None:
        """Start it; return when it answers, or does not seem to come: serving goes on without it.

        Raises:
            ConfigError: its settings or state are wrong: it ended at once and said why.
        """
        if existing := found(self._settings.folder):
            logger.info("following the control at %s", existing)
            self.url = existing
        self._tasks.start("control", self._keep_running())
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait((ready,), timeout=READY_SECONDS)
        finally:
            ready.cancel()
        if not self.url and self._failure:
            hint = self._failure.hint or "`shoal control` alone says more"
            raise ConfigError(f"control did not start: {self._failure.message}", hint=hint)

    async def stop(self) -> None:
        """End it, gracefully if it can."""
        await self._tasks.close()
        await stop(self._child.process if self._child else None, STOP_SECONDS)

    async def _keep_running(self) -> None:
        while True:
            self._child = Child("control", self._told)
            end = await self._child.run(self._command)
            delay = self._supervisor.died(self._clock())
            other = found(self._settings.folder)
            if other and other != self._announced:  # one of ours that was killed leaves its word behind
                self.url, delay = other, IN_USE
                self._ready.set()
            else:
                told = {"reason": end.message}
                logger.warning("control ended, serving goes on; starting it again in %.1f s", delay, extra=told)
            if self._supervisor.failed and not self.url:
                self._failure = end
                self._ready.set()
            await asyncio.sleep(delay)

    def _command(self, writer: int) -> list[str]:
        settings = self._settings
        command = [sys.executable, "-m", "shoal", "control", "--home", str(settings.folder)]
        port = settings.control_port or (urlsplit(self.url).port or 0)  # the one that it had, for all who know it
        command += ["--port", str(port), "--ready-fd", str(writer), "--parent", str(os.getpid())]
        if settings.artifacts:
            command += ["--artifacts", settings.artifacts]
        return [*command, "--trust"] if settings.trust else command

    def _told(self, told: Told) -> None:
        self.url = self._announced = told["url"]
        self._supervisor.ready(self._clock())
        self._ready.set()
        logger.info("control answers at %s", self.url)


class FoundControl:
    """The control that another process runs on the home: where it is, and while it is away where it was.

    Args:
        settings: of the node.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._folder = settings.folder
        self._last = ""

    @property
    def url(self) -> str:
        """Where it answers; "" while it never has."""
        self._last = found(self._folder) or self._last
        return self._last


def control_key(settings: NodeSettings) -> str:
    """What this node shows to control: the key of the environment, of the file that the settings name, or of the home
    whose control it follows; "" if there is none.

    Raises:
        ConfigError: a file cannot be read, or others can read it.
    """
    if key := os.environ.get(KEY, "").strip():
        return key
    if settings.control_key_file is not None:
        return read_secret(settings.control_key_file, "control_key_file")
    return "" if settings.control else found_key(settings.folder)


def home_folder(settings: NodeSettings, *parts: str) -> Path:
    """A folder below the node's home, made if it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    folder = settings.folder.joinpath(*parts)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {error.strerror}", hint="choose another home with --home or SHOAL_HOME"
        ) from error
    return folder
