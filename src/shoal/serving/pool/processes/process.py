"""One worker process: started from a fresh interpreter (never forked), watched by its pidfd, killed with all its
children.

The process gets one inherited descriptor, its end of the channel; everything else of the node is closed in it. It
leads a session of its own: a Ctrl-C meant for the node does not reach it, and what it forks dies with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from shoal.core.clock import Clock, monotonic
from shoal.core.confinement import NOT_CONFINED
from shoal.serving.pool.confining.confiner import FLAG, Cell
from shoal.serving.pool.processes.cgroup import Cage, limit
from shoal.serving.pool.processes.output import OutputLog

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "shoal.serving.worker")
"""How a worker is started; ``--fd N`` is added."""
LAST_WORDS = 0.2
"""Seconds for the output of a dead worker to be read; a process that it forked may hold the pipe open for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a worker.

    Attributes:
        model: the model's name, for logs.
        environment: all variables that it sees.
        memory_bytes: what it may use, or None.
        cpu: processors that it may use, or None.
        command: program and arguments.
        confine: makes what it is confined to; None: to nothing.
    """

    model: str
    environment: Mapping[str, str]
    memory_bytes: int | None = None
    cpu: float | None = None
    command: tuple[str, ...] = COMMAND
    confine: Callable[[], Cell] | None = None


class WorkerProcess:
    """A running worker process.

    Args:
        launch: what to start.
        channel: the worker's end of the socket; closed here once it is inherited.
        on_exit: called once, with the reason label, when the process is no more.
        clock: monotonic seconds.

    Raises:
        OSError: the process could not be started.
    """

    def __init__(
        self, launch: Launch, channel: socket.socket, on_exit: Callable[[str], None], *, clock: Clock = monotonic
    ) -> None:
        self._launch = launch
        self._on_exit = on_exit
        self._clock = clock
        self._outputs: list[tuple[asyncio.BaseTransport, OutputLog]] = []
        self._process, self._cell = _spawn(launch, channel)
        self.pid = self._process.pid
        self.killed_for = ""
        """Why we killed it; empty if we did not."""
        self._cage = Cage(())
        self._loop = asyncio.get_running_loop()
        self._pidfd = self._open_pidfd()
        self._loop.add_reader(self._pidfd, self._exited)
        if launch.memory_bytes is not None or launch.cpu is not None:
            with contextlib.suppress(ProcessLookupError):
                self._cage = limit(self.pid, memory_bytes=launch.memory_bytes, cpu=launch.cpu)

    def _open_pidfd(self) -> int:
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            _kill_group(self.pid)
            self._process.communicate()
            raise

    async def read_output(self) -> None:
        """Log what the process prints from now on."""
        await self._read("stdout", self._process.stdout)
        await self._read("stderr", self._process.stderr)

    async def _read(self, stream: str, pipe: IO[bytes] | None) -> None:
        log = OutputLog(self._launch.model, stream, self._clock)
        transport, _ = await self._loop.connect_read_pipe(lambda: log, pipe)
        self._outputs.append((transport, log))

    def confined(self, missing: Mapping[str, str]) -> None:
        """It has said what it could not apply of its confinement."""
        if self._cell is not None:
            self._cell.told(missing)

    async def finish(self) -> None:
        """After `on_exit`: let the last words be read, then let go of the pipes, whoever else still holds them."""
        cell, self._cell = self._cell, None
        if cell is not None:
            await asyncio.to_thread(cell.remove)
        try:
            async with asyncio.timeout(LAST_WORDS):
                for _, log in self._outputs:
                    await log.ended.wait()
        except TimeoutError:
            logger.debug("output still open", extra={"model": self._launch.model, "pid": self.pid})
        finally:
            self._close_outputs()
        await asyncio.sleep(0)

    def _close_outputs(self) -> None:
        for transport, _ in self._outputs:
            transport.close()
        if not self._outputs:
            for pipe in (self._process.stdout, self._process.stderr):
                assert pipe is not None
                pipe.close()

    @property
    def alive(self) -> bool:
        return self._pidfd >= 0

    def lower_priority(self) -> None:
        """Let others go first when the processor is short."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, 10)

    def kill(self, reason: str) -> None:
        """SIGKILL to it and its children; `on_exit` follows with this reason."""
        if self.alive:
            self.killed_for = self.killed_for or reason
            _kill_group(self.pid)

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        _kill_group(self.pid)  # what it has forked; its own id is still taken, as it has not been waited for
        code = self._process.wait()
        reason = self.killed_for or self._reason(code)
        self._cage.remove()
        self._on_exit(reason)

    def _reason(self, code: int) -> str:
        if code == -signal.SIGKILL and self._cage.oom_kills():
            return "oom"
        return exit_reason(code)


def exit_reason(code: int) -> str:
    """The label of a return code as `subprocess` gives it: ``SIGSEGV``, ``exit_1``."""
    if code == NOT_CONFINED:
        return "not_confined"
    if code >= 0:
        return f"exit_{code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal_{-code}"


def _spawn(launch: Launch, channel: socket.socket) -> tuple[subprocess.Popen[bytes], Cell | None]:
    cell = None
    try:
        cell = launch.confine() if launch.confine is not None else None
        return _start(launch, channel.fileno(), cell), cell
    except OSError:
        if cell is not None:
            cell.remove()
        raise
    finally:
        channel.close()
        if cell is not None:
            cell.close_input()


def _start(launch: Launch, number: int, cell: Cell | None) -> subprocess.Popen[bytes]:
    confined = () if cell is None else (FLAG,)
    return subprocess.Popen(
        [*launch.command, "--fd", str(number), *confined],
        stdin=subprocess.DEVNULL if cell is None else cell.standard_input,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(launch.environment),
        pass_fds=(number,),
        start_new_session=True,
    )


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
