"""What archives and folders are made of, and how much of it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shoal.control.artifacts.intake.names import refuse
from shoal.core.errors import InvalidInput, TooLarge

FILE, FOLDER = "a file", "a folder"
"""The kinds that are taken; every other is refused by its name."""

_PACK = "push a smaller artifact, or raise the limit in the settings of control"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive or folder, as it says of itself.

    Attributes:
        name: not judged yet.
        kind: `FILE`, `FOLDER`, or what else it is, such as "a symbolic link".
        size: bytes of its content.
        chunks: its content; compared with what its container says of it by the time it ends.
    """

    name: str
    kind: str
    size: int = 0
    chunks: Callable[[], Iterator[bytes]] = lambda: iter(())


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may come in at once.

    Attributes:
        entries: files and folders.
        file_bytes: of one file, unpacked.
        total_bytes: of all files, unpacked.
        ratio: bytes that may come out of one packed byte; beyond `ratio_free_bytes` only.
        ratio_free_bytes: what may come out of anything.
    """

    entries: int = 10_000
    file_bytes: int = 64 * 1024**3
    total_bytes: int = 128 * 1024**3
    ratio: int = 100
    ratio_free_bytes: int = 1024 * 1024


class Meter:
    """Counts what comes in against a budget, before it is written."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._entries = 0
        self._bytes = 0

    def visit(self, member: Member) -> None:
        """Count an entry, and what it says its size is.

        Raises:
            TooLarge: there are too many, or it is too large.
        """
        self._entries += 1
        if self._entries > self._budget.entries:
            raise TooLarge(f"there are more than {self._budget.entries:,} files and folders", hint=_PACK)
        if member.size > self._budget.file_bytes:
            raise _large(member.name, f"has more than {self._budget.file_bytes:,} bytes")
        if self._bytes + member.size > self._budget.total_bytes:
            raise _large(member.name, f"makes it more than {self._budget.total_bytes:,} bytes in all")
        self._bytes += member.size


class Ratio:
    """Watches one packed stream: what comes out of it is bounded by what goes in."""

    def __init__(self, budget: Budget, name: str) -> None:
        self._budget = budget
        self._name = name
        self._packed = self._unpacked = 0

    def add(self, *, packed: int = 0, unpacked: int = 0) -> None:
        """Count bytes that went in, or came out.

        Raises:
            TooLarge: more came out than an honest file of this size holds.
        """
        self._packed += packed
        self._unpacked += unpacked
        if self._unpacked > self._budget.ratio_free_bytes + self._packed * self._budget.ratio:
            raise _large(self._name, f"unpacks to more than {self._budget.ratio} times its size")


def damaged(name: str, reason: str) -> InvalidInput:
    """The error for an archive or member that is not what an honest packer writes."""
    return refuse(name, reason, "pack it again with tar or zip, and push it again")


def _large(name: str, reason: str) -> TooLarge:
    refused = refuse(name, reason, _PACK)
    return TooLarge(refused.message, hint=refused.hint, field=refused.field)
