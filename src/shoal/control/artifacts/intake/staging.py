"""The folder that members are written to: below it and nowhere else, plain files and folders, nothing twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from shoal.control.artifacts.disk import telling, write_all
from shoal.control.artifacts.intake.members import FILE, FOLDER, Budget, Member, Meter, damaged
from shoal.control.artifacts.intake.names import Names, Parts, parse, refuse
from shoal.core.registry import FileEntry

_WHAT = "the staging folder"
_LEFT_OUT = ("__pycache__", "__MACOSX")


class Staging:
    """Takes members into a new folder.

    Args:
        folder: empty, and nobody else's.
        budget: what may come in.

    Attributes:
        files: what was taken, by path.
        left_out: paths that were not: hidden ones and Python's caches.
    """

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.files: dict[str, FileEntry] = {}
        self.left_out: list[str] = []
        self._folder = folder
        self._names = Names()
        self._meter = Meter(budget)

    def take_all(self, members: Iterable[Member]) -> None:
        """Take members one after the other.

        Raises:
            InvalidInput: one is refused; those before it have been written.
            StorageFull, Unavailable: of the disk.
        """
        for member in members:
            self._take(member)

    def _take(self, member: Member) -> None:
        self._meter.visit(member)
        parts = parse(member.name)
        if member.kind == FOLDER:
            self._names.add_folder(parts)
        elif member.kind == FILE:
            self._names.add_file(parts)
        else:
            raise refuse(member.name, f"is {member.kind}", "only plain files and folders are taken; put a copy there")
        if is_left_out(parts):
            self.left_out.append("/".join(parts))
            _skip(member)
        elif member.kind == FILE:
            self._write(parts, member)

    def _write(self, parts: Parts, member: Member) -> None:
        path = self._folder.joinpath(*parts)
        with telling(_WHAT):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            entry = _copy("/".join(parts), member, descriptor)
        finally:
            os.close(descriptor)
        self.files[entry.path] = entry


def is_left_out(parts: Parts) -> bool:
    """Whether a file is none of the model: hidden, or somebody's cache."""
    return any(part.startswith(".") or part in _LEFT_OUT for part in parts)


def _copy(path: str, member: Member, descriptor: int) -> FileEntry:
    digest = hashlib.sha256()
    for part in _counted(member):
        digest.update(part)
        with telling(_WHAT):
            write_all(descriptor, part)
    return FileEntry(path, member.size, digest.hexdigest())


def _skip(member: Member) -> None:
    for _ in _counted(member):
        pass


def _counted(member: Member) -> Iterator[bytes]:
    seen = 0
    for part in member.chunks():
        seen += len(part)
        if seen > member.size:
            break
        yield part
    if seen != member.size:
        raise damaged(member.name, f"does not have the {member.size:,} bytes that it says it has")
