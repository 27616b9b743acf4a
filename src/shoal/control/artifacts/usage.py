"""How many bytes a cache holds, agreed on by all processes that use it.

The count is a number in a file, changed under a lock. Room is taken *before* it is filled, so that together the
processes never exceed the limit; what was taken and not used is given back. A process that dies in between leaves the
count too high, never too low: whoever finds no room may look again, while nobody fills.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

from shoal.control.artifacts import ranges

_COUNT = struct.Struct("<q")
_NUMBER, _FILLING = 0, 1
"""Bytes of the file that stand for the locks on the number, and on filling."""


class Room:
    """Room that was taken; `close` it, having said in `used` what was really filled.

    Attributes:
        used: bytes filled.
    """

    def __init__(self, usage: Usage, size: int, lock: int) -> None:
        self.used = 0
        self._usage = usage
        self._size = size
        self._lock = lock

    def close(self) -> None:
        try:
            self._usage.give_back(self._size - self.used)
        finally:
            os.close(self._lock)


class Usage:
    """The count in a file.

    Args:
        path: the file.
        limit: bytes that may be held.
        count: finds out how many bytes are held, by looking.
    """

    def __init__(self, path: Path, limit: int, count: Callable[[], int]) -> None:
        self.limit = limit
        self._path = path
        self._count = count

    def held(self) -> int:
        """Bytes held and taken now."""
        with ranges.exclusive(self._path, _NUMBER) as file:
            return self._read(file)

    def take(self, size: int) -> Room | None:
        """Take room for this many bytes; None if there is too little."""
        lock = ranges.open_locks(self._path)
        try:
            ranges.share(lock, _FILLING)
            if self._add(size):
                return Room(self, size, lock)
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def give_back(self, size: int) -> None:
        """Room that was taken and not used, or has become free."""
        with ranges.exclusive(self._path, _NUMBER) as file:
            self._write(file, max(0, self._read(file) - size))

    def recount(self) -> None:
        """Forget the number and look, unless somebody is filling just now."""
        with ranges.exclusive(self._path, _NUMBER) as file:
            if ranges.try_exclusive(file, _FILLING):
                self._write(file, self._count())

    def _add(self, size: int) -> bool:
        with ranges.exclusive(self._path, _NUMBER) as file:
            held = self._read(file)
            if size and held + size > self.limit:
                return False
            self._write(file, held + size)
            return True

    def _read(self, file: int) -> int:
        data = os.pread(file, _COUNT.size, 0)
        return int(_COUNT.unpack(data)[0]) if len(data) == _COUNT.size else self._count()

    def _write(self, file: int, number: int) -> None:
        os.pwrite(file, _COUNT.pack(number), 0)
