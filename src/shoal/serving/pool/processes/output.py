"""What a worker prints, line by line, with the model's name, and bounded: in length of a line and in lines per
second.
"""

from __future__ import annotations

import asyncio
import logging

from shoal.core.clock import Clock

logger = logging.getLogger("shoal.worker.output")

MAX_LINE = 4096
"""Bytes of a line; the rest of it is dropped."""
MAX_LINES = 200
"""Lines in a second; those above are counted, not logged."""


class LineCutter:
    """Cuts a stream of bytes into lines of bounded length. Sans-I/O."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes complete."""
        *whole, rest = (self._rest + data).split(b"\n")
        lines = [self._decode(line) for line in self._unskipped(whole)]
        if len(rest) > self._limit and not self._skipping:
            lines.append(self._decode(rest))
            self._skipping = True
        self._rest = b"" if self._skipping else rest
        return [line for line in lines if line]

    def end(self) -> list[str]:
        """The line that was not ended."""
        line = self._decode(self._rest)
        self._rest = b""
        return [line] if line else []

    def _unskipped(self, lines: list[bytes]) -> list[bytes]:
        """Without the end of a line whose start was already given."""
        if self._skipping and lines:
            self._skipping = False
            return lines[1:]
        return lines

    def _decode(self, line: bytes) -> str:
        text = line[: self._limit].decode("utf-8", "replace").rstrip()
        return "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in text)


class OutputLog(asyncio.Protocol):
    """Reads one output of a worker from a pipe and logs it.

    Args:
        model: the model's name.
        stream: ``stdout`` or ``stderr``.
        clock: monotonic seconds.
    """

    def __init__(self, model: str, stream: str, clock: Clock) -> None:
        self._fields = {"model": model, "stream": stream}
        self._clock = clock
        self._cutter = LineCutter()
        self._second = 0
        self._lines = 0
        self._dropped = 0
        self.ended = asyncio.Event()
        """Set when nothing more will come."""

    def data_received(self, data: bytes) -> None:
        for line in self._cutter.feed(data):
            self._log(line)

    def connection_lost(self, exc: Exception | None) -> None:
        for line in self._cutter.end():
            self._log(line)
        self._tell_dropped()
        self.ended.set()

    def _log(self, line: str) -> None:
        second = int(self._clock())
        if second != self._second:
            self._tell_dropped()
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > MAX_LINES:
            self._dropped += 1
        else:
            logger.info("%s: %s", self._fields["model"], line, extra=self._fields)

    def _tell_dropped(self) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            logger.warning("%s: %d lines of output dropped", self._fields["model"], dropped, extra=self._fields)
