"""A control of the node's own: a child process, started again when it ends, and never missed while it is away.

`shoal serve` without a URL of a control runs one on this machine. If one uses the home already, that one is followed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from shoal.control.home import found
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings
from shoal.core.tasks import Tasks
from shoal.serving.pool.output import LineCutter
from shoal.serving.pool.process import exit_reason
from shoal.serving.pool.stopping import stop
from shoal.serving.pool.supervisor import Supervisor

logger = logging.getLogger(__name__)

READY_SECONDS = 60.0
"""How long the first start may take before the node goes on without it."""
STOP_SECONDS = 15.0
"""Time for it to end after SIGTERM."""
_LINE = re.compile(r"\d\d:\d\d:\d\d ([A-Z]+) +(.*)")
"""A line of control's log: time, level, text."""
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
        self._process: asyncio.subprocess.Process | None = None
        self._failure = ""
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
            raise ConfigError(f"control did not start: {self._failure}", hint="`shoal control` alone says more")

    async def stop(self) -> None:
        """End it, gracefully if it can."""
        await self._tasks.close()
        await stop(self._process, STOP_SECONDS)

    async def _keep_running(self) -> None:
        while True:
            reason = await self._run()
            delay = self._supervisor.died(self._clock())
            other = found(self._settings.folder)
            if other and other != self._announced:  # one of ours that was killed leaves its word behind
                self.url, delay = other, IN_USE
                self._ready.set()
            else:
                told = {"reason": reason}
                logger.warning("control ended, serving goes on; starting it again in %.1f s", delay, extra=told)
            if self._supervisor.failed and not self.url:
                self._failure = reason
                self._ready.set()
            await asyncio.sleep(delay)

    async def _run(self) -> str:
        """Run it once; the reason of its end."""
        reader, writer = os.pipe()
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command(writer),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(writer,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(reader)
            return str(error)
        finally:
            os.close(writer)
        listening = self._tasks.start("control ready", self._listen(reader))
        last = await self._copy(process)
        code = await process.wait()
        await asyncio.wait((listening,))
        return last or exit_reason(code)

    def _command(self, writer: int) -> list[str]:
        settings = self._settings
        command = [sys.executable, "-m", "shoal", "control", "--home", str(settings.folder)]
        port = settings.control_port or (urlsplit(self.url).port or 0)  # the one that it had, for all who know it
        command += ["--port", str(port), "--ready-fd", str(writer)]
        if settings.artifacts:
            command += ["--artifacts", settings.artifacts]
        return [*command, "--trust"] if settings.trust else command

    async def _listen(self, reader: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb")
        )
        try:
            line = await stream.readline()
            if line:
                self.url = self._announced = str(json.loads(line)["url"])
                self._supervisor.ready(self._clock())
                self._ready.set()
                logger.info("control answers at %s", self.url)
        finally:
            transport.close()

    async def _copy(self, process: asyncio.subprocess.Process) -> str:
        """Log what it says; its last line."""
        cutter, last = LineCutter(), ""
        assert process.stderr is not None
        while data := await process.stderr.read(65536):
            for line in cutter.feed(data):
                relay(line)
                last = line
        return last


def relay(line: str) -> None:
    """Log what control has said, with the level that it said it with."""
    match = _LINE.match(line)
    level = logging.getLevelNamesMapping().get(match[1], logging.INFO) if match else logging.INFO
    logger.log(level, "control: %s", match[2] if match else line)


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
