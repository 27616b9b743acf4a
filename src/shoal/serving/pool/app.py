"""The parent's side of a full-custom app: its process, started again when it dies.

The app listens on a Unix socket in a folder that only this user can enter; the gateway hands requests on to it. An app
that crashes is away until it is back, and nobody but its callers notices.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
from pathlib import Path

from shoal.core.clock import Clock, monotonic
from shoal.core.model import ModelSpec
from shoal.core.tasks import Tasks
from shoal.serving.pool.environment import worker_environment
from shoal.serving.pool.interpreters import app_command
from shoal.serving.pool.output import OutputLog
from shoal.serving.pool.process import exit_reason
from shoal.serving.pool.stopping import stop
from shoal.serving.pool.supervisor import CALM, Supervisor

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""Time for an app to end after SIGTERM."""


class AppProcess:
    """The process of one app, kept running.

    Args:
        spec: a model whose `app` is set.
        socket_path: where the app is to listen; at most some 100 characters.
        clock: monotonic seconds.
    """

    def __init__(self, spec: ModelSpec, socket_path: Path, clock: Clock = monotonic) -> None:
        self._spec = spec
        path = Path(spec.path)
        self._folder = path if path.is_dir() else path.parent
        self._socket = socket_path
        self._clock = clock
        self._tasks = Tasks()
        self._supervisor = Supervisor(random.random)
        self._process: asyncio.subprocess.Process | None = None

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._tasks.start(f"app of {self._spec.name}", self._keep_running())

    async def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL."""
        await self._tasks.close()
        await stop(self._process, STOP_SECONDS)

    async def _keep_running(self) -> None:
        while True:
            reason = await self._run()
            delay = self._supervisor.died(self._clock())
            fields = {"model": self._spec.name, "reason": reason}
            logger.warning("app ended; starting it again in %.2f s", delay, extra=fields)
            await asyncio.sleep(delay)

    async def _run(self) -> str:
        """Run it once; the reason of its end. It counts as ready if it has come to listen, or has lived for long."""
        started = self._clock()
        try:
            self._socket.unlink(missing_ok=True)
            self._process = await self._spawn()
        except OSError as error:
            return f"not_started: {error}"
        code = await self._process.wait()
        if self._socket.exists() or self._clock() - started >= CALM:
            self._supervisor.ready(started)
        return exit_reason(code)

    async def _spawn(self) -> asyncio.subprocess.Process:
        command = [*app_command(self._spec.python), "--socket", str(self._socket)]
        reader, writer = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, "--folder", str(self._folder), self._spec.app,
                stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, cwd=self._folder, env=self._environment(),
            )  # fmt: skip
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        log = OutputLog(self._spec.name, "app", self._clock)
        await asyncio.get_running_loop().connect_read_pipe(lambda: log, os.fdopen(reader, "rb"))
        return process

    def _environment(self) -> dict[str, str]:
        limits = self._spec.limits
        return worker_environment(os.environ, threads=limits.threads, settings=self._spec.environment)
