"""The members of a folder of this machine, or of one file: no link is followed, whoever changes names meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.control.artifacts.disk import telling
from shoal.control.artifacts.intake.members import FILE, FOLDER, Member
from shoal.control.artifacts.intake.names import refuse
from shoal.control.artifacts.intake.staging import is_left_out
from shoal.core.errors import InvalidInput, NotFound

CHUNK = 1024 * 1024

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def read_folder(folder: Path) -> Iterator[Member]:
    """The members of a folder, in the order of their names; of what is left out, nothing is looked at.

    Raises:
        ShoalError: it cannot be read.
    """
    with _opened(folder, os.O_DIRECTORY) as descriptor:
        yield from _walk(descriptor, "")


def read_file(file: Path, name: str) -> Iterator[Member]:
    """One file as the only member; the path itself may be a link, as a user's own word."""
    with telling(str(file)):
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield _file(descriptor, name)
    finally:
        os.close(descriptor)


def _walk(descriptor: int, prefix: str) -> Iterator[Member]:
    with telling(prefix or "the folder"):
        names = sorted(os.listdir(descriptor))
    for name in names:
        path = prefix + name
        mode = _mode(descriptor, name, path)
        if stat.S_ISDIR(mode):
            yield Member(f"{path}/", FOLDER)
            if not is_left_out((name,)):
                with _opened(name, os.O_DIRECTORY, within=descriptor) as child:
                    yield from _walk(child, f"{path}/")
        elif is_left_out((name,)):
            yield Member(path, FILE)
        elif not stat.S_ISREG(mode):
            yield Member(path, _KINDS.get(stat.S_IFMT(mode), "of a kind that is not known"))
        else:
            with _opened(name, 0, within=descriptor) as child:
                yield _file(child, path)


def _mode(descriptor: int, name: str, path: str) -> int:
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
    except FileNotFoundError as error:
        raise refuse(path, "has gone while the folder was read", "push it when nobody writes to it") from error


def _file(descriptor: int, path: str) -> Member:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise refuse(path, "is no plain file", "only plain files and folders are taken")
    return Member(path, FILE, status.st_size, lambda: _chunks(descriptor))


def _chunks(descriptor: int) -> Iterator[bytes]:
    while part := os.read(descriptor, CHUNK):
        yield part


@contextmanager
def _opened(path: Path | str, flags: int, within: int | None = None) -> Iterator[int]:
    try:
        descriptor = os.open(path, _FLAGS | flags, dir_fd=within)
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist", hint="check the path") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}", hint="links are not followed") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
