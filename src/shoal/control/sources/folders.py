"""A folder or a file of this machine, copied as it is now.

It is opened part by part from an allowed root, and a link is never followed: what is outside is never opened, whoever
changes names meanwhile. A link is refused rather than left out, because the model would lack a file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from shoal.control.sources.addresses import FolderSource
from shoal.control.sources.policy import SourcePolicy
from shoal.control.sources.staging import CHUNK, Staging, is_left_out, parts_of
from shoal.core.errors import InvalidInput, NotFound, PermissionDenied, ShoalError, Unavailable

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def fetch_folder(source: FolderSource, policy: SourcePolicy, staging: Staging) -> None:
    """Copy a folder's files, or one file, to the staging folder.

    Raises:
        ShoalError: not there, not allowed, not readable, or something in it is no plain file or over a budget.
    """
    with _telling(source.path), _opened(source, policy) as descriptor:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            _copy_folder(descriptor, "", staging)
        else:
            _copy_file(descriptor, os.path.basename(source.path), staging)


@contextmanager
def _opened(source: FolderSource, policy: SourcePolicy) -> Iterator[int]:
    """A descriptor of the source, reached without a link below its root."""
    if policy.roots is None:
        root, path = "/", os.path.realpath(source.path)
    else:
        root, path = policy.root_of(source), source.path
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in os.path.relpath(path, root).split("/"):
            following = os.open(part, _FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
        yield descriptor
    finally:
        os.close(descriptor)


def _copy_folder(descriptor: int, prefix: str, staging: Staging) -> None:
    with os.scandir(descriptor) as entries:
        children = sorted(entry.name for entry in entries)
    for name in children:
        path = prefix + name
        staging.visit()
        if is_left_out((name,)):
            continue
        parts_of(path)
        child = os.open(name, _FLAGS, dir_fd=descriptor)
        try:
            if stat.S_ISDIR(os.fstat(child).st_mode):
                _copy_folder(child, f"{path}/", staging)
            else:
                _copy_file(child, path, staging)
        finally:
            os.close(child)


def _copy_file(descriptor: int, path: str, staging: Staging) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path[:100]!a} is no plain file", hint=_COPY, field="source")
    staging.add(path, status.st_size, partial(_chunks, descriptor))


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, CHUNK):
        yield chunk


_COPY = "put plain files in its place: links, pipes and devices are not taken"


@contextmanager
def _telling(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _tell(ascii(error.filename or path), error) from error


def _tell(path: str, error: OSError) -> ShoalError:
    if error.errno in (errno.ELOOP, errno.ENXIO):
        return InvalidInput(f"{path} is a link or a special file", hint=_COPY, field="source")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(
            f"{path} does not exist", hint="check the path; links on the way are not followed", field="source"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PermissionDenied(f"{path} may not be read", hint="check its owner and mode", field="source")
    return Unavailable(f"{path} cannot be read: {error.strerror}", hint="check the disk it is on", field="source")
