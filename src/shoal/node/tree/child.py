"""One run of a child process of ours: what it logs is logged here, what it says when it is ready is read, its end told.

A child gets a descriptor to write one line of JSON to once it is ready (``--ready-fd``), and may go on with an empty
line now and then to show that it still turns (`beating`); and the id of its parent, with which it ends (``--parent``).
It leads a session of its own: a Ctrl-C meant for the parent does not reach it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shoal.core.tasks import Tasks
from shoal.serving.pool.processes.output import LineCutter
from shoal.serving.pool.processes.process import exit_reason

logger = logging.getLogger(__name__)

LAST_LINES = 8
"""Lines of the log that are kept, to say why a process ended."""
_LINE = re.compile(r"\d\d:\d\d:\d\d ([A-Z]+) +(.*)")
"""A line of a child's log: time, level, text."""
_ERRORS, _HINT = ("shoal: ", "error: "), "  hint: "
"""How commands tell their error and what helps."""

Command = Callable[[int], Sequence[str]]
"""The command line, given the descriptor for readiness."""
Told = Mapping[str, str]
"""What a child says when it is ready."""


class End(NamedTuple):
    """How a run ended.

    Attributes:
        code: as `subprocess` gives it; None if it could not be started.
        message: the error that it told, else its last line if it ended by itself, else what the code means.
        hint: what helps, if it said so.
    """

    code: int | None
    message: str
    hint: str = ""


class Child:
    """See the module. Used for one run.

    Args:
        name: for the log.
        on_ready: told once, what it says.
        on_beat: told whenever it says more.
    """

    def __init__(self, name: str, on_ready: Callable[[Told], None], on_beat: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._on_ready = on_ready
        self._on_beat = on_beat
        self._tasks = Tasks()
        self._to_end = False
        self.process: asyncio.subprocess.Process | None = None

    async def run(self, command: Command, environment: Mapping[str, str] | None = None) -> End:
        """Start it and wait for its end.

        Args:
            command: what to start.
            environment: all variables that it sees; None: our own.
        """
        reader, writer = os.pipe()
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                *command(writer),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(writer,),
                start_new_session=True,
                env=environment,
            )
        except OSError as error:
            os.close(reader)
            return End(None, str(error))
        finally:
            os.close(writer)
        if self._to_end:
            self.terminate()
        try:
            listening = self._tasks.start(f"{self._name} ready", self._listen(reader))
            last = await self._copy(process)
            code = await process.wait()
            await asyncio.wait((listening,))
            return ended(code, last)
        finally:
            await self._tasks.close()

    def terminate(self) -> None:
        """Ask it to end, as soon as there is something to ask."""
        self._to_end = True
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def _listen(self, reader: int) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb")
        )
        try:
            if line := await stream.readline():
                self._on_ready(json.loads(line))
            while await stream.readline():
                self._on_beat()
        finally:
            transport.close()

    async def _copy(self, process: asyncio.subprocess.Process) -> list[str]:
        """Log what it says; the last of it."""
        cutter, last = LineCutter(), deque[str](maxlen=LAST_LINES)
        assert process.stderr is not None
        while data := await process.stderr.read(65536):
            for line in cutter.feed(data):
                relay(self._name, line)
                last.append(line)
        return list(last)


def relay(name: str, line: str) -> None:
    """Log what a child has said, with the level that it said it with."""
    match = _LINE.match(line)
    level = logging.getLevelNamesMapping().get(match[1], logging.INFO) if match else logging.INFO
    logger.log(level, "%s: %s", name, match[2] if match else line)


def ended(code: int, lines: Sequence[str]) -> End:
    """What the last lines say of the end."""
    for at in range(len(lines) - 1, -1, -1):
        for mark in _ERRORS:
            if lines[at].startswith(mark):
                hint = next((line for line in lines[at:] if line.startswith(_HINT)), "")
                return End(code, lines[at].removeprefix(mark), hint.removeprefix(_HINT))
    return End(code, lines[-1] if lines and code > 0 else exit_reason(code))
