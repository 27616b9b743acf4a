"""The parent's side of a full-custom app: its process, started again when it dies.

The app listens on a Unix socket in a folder that only this user can enter; the gateway hands requests on to it. The
socket is made by the app's process before it gives up its rights and runs any of the user's code, so an app with a user
of its own needs no way to it, and none can put another in its place. An app that crashes is away until it is back, and
nobody but its callers notices.
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
from shoal.serving.pool.confining.confiner import FLAG, Cell, Confiner
from shoal.serving.pool.confining.needs import needs_of
from shoal.serving.pool.processes.environment import worker_environment
from shoal.serving.pool.processes.interpreters import app_command
from shoal.serving.pool.processes.output import OutputLog
from shoal.serving.pool.processes.process import exit_reason
from shoal.serving.pool.processes.stopping import stop
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
        confiner: confines it; None: it is not.
    """

    def __init__(
        self, spec: ModelSpec, socket_path: Path, clock: Clock = monotonic, confiner: Confiner | None = None
    ) -> None:
        self._spec = spec
        path = Path(spec.path)
        self._folder = path if path.is_dir() else path.parent
        self._socket = socket_path
        self._clock = clock
        self._confiner = confiner
        self._tasks = Tasks()
        self._supervisor = Supervisor(random.random)
        self._process: asyncio.subprocess.Process | None = None
        self._cell: Cell | None = None

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._tasks.start(f"app of {self._spec.name}", self._keep_running())

    async def stop(self) -> None:
        """End it: nobody can connect any more, then SIGTERM, then SIGKILL."""
        await self._tasks.close()
        self._socket.unlink(missing_ok=True)
        await stop(self._process, STOP_SECONDS)
        await self._leave()

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
            with Listening() as listening:
                self._socket.unlink(missing_ok=True)
                self._cell = self._confined()
                self._process = await self._spawn(self._cell, listening)
                code = await self._process.wait()
                listened = listening.seen()
        except OSError as error:
            await self._leave()
            return f"not_started: {error}"
        await self._leave()
        if listened or self._clock() - started >= CALM:
            self._supervisor.ready(started)
        return exit_reason(code)

    async def _leave(self) -> None:
        """Its process is no more: what it was confined to goes, too."""
        cell, self._cell = self._cell, None
        if cell is not None:
            await asyncio.to_thread(cell.remove)

    def _confined(self) -> Cell | None:
        if self._confiner is None:
            return None
        return self._confiner.cell(needs_of(self._spec))

    async def _spawn(self, cell: Cell | None, listening: Listening) -> asyncio.subprocess.Process:
        command = [*app_command(self._spec.python), "--socket", str(self._socket)]
        command += ["--listening-fd", str(listening.writer)]
        if cell is not None:
            command.append(FLAG)
        reader, writer = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, "--folder", str(self._folder), self._spec.app,
                stdin=subprocess.DEVNULL if cell is None else cell.standard_input, stdout=writer, stderr=writer,
                cwd=self._folder, env=self._environment(), pass_fds=(listening.writer,),
            )  # fmt: skip
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
            listening.inherited()
            if cell is not None:
                cell.close_input()
        log = OutputLog(self._spec.name, "app", self._clock)
        await asyncio.get_running_loop().connect_read_pipe(lambda: log, os.fdopen(reader, "rb"))
        return process

    def _environment(self) -> dict[str, str]:
        limits = self._spec.limits
        return worker_environment(os.environ, threads=limits.threads, settings=self._spec.environment)


class Listening:
    """A pipe on which an app's process says that it listens; read once that has ended.

    Attributes:
        writer: the descriptor for the process.
    """

    def __enter__(self) -> Listening:
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._reader)
        self.inherited()

    def inherited(self) -> None:
        """The process has its own, or there is none."""
        if self.writer >= 0:
            os.close(self.writer)
        self.writer = -1

    def seen(self) -> bool:
        """Whether it has listened."""
        try:
            return bool(os.read(self._reader, 1))
        except BlockingIOError:  # something that it has started still has the other end
            return False
