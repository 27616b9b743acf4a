"""Moving a blob's bytes while comparing them with its name: nothing that differs is ever taken for the blob."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from shoal.core.errors import CorruptArtifact

CHUNK = 1024 * 1024


def chunks(source: BinaryIO, sha256: str, size: int) -> Iterator[bytes]:
    """The bytes of a source, the last of them only after all have been compared with the name.

    Raises:
        CorruptArtifact: they differ, in length or content.
    """
    digest, seen, held = hashlib.sha256(), 0, b""
    while part := source.read(min(CHUNK, size - seen + 1)):
        seen += len(part)
        if seen > size:
            raise CorruptArtifact(f"blob {sha256[:12]} is longer than the {size} bytes it should have", hint=_HINT)
        digest.update(part)
        if held:
            yield held
        held = part
    check(sha256, size, seen, digest.hexdigest())
    if held:
        yield held


def check(sha256: str, size: int, seen: int, found: str) -> None:
    """Compare what was read with what should have been.

    Raises:
        CorruptArtifact: it differs.
    """
    if seen != size:
        raise CorruptArtifact(f"blob {sha256[:12]} has {seen} bytes instead of {size}", hint=_HINT)
    if found != sha256:
        raise CorruptArtifact(f"the content of blob {sha256[:12]} is not what its digest says", hint=_HINT)


def matches(path: Path | str, sha256: str, size: int) -> bool:
    """Whether a plain file (no link) holds a blob's content; false as well if it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_FILE:
            return False
        raise
    try:
        status = os.fstat(descriptor)
        return stat.S_ISREG(status.st_mode) and status.st_size == size and _digest(descriptor, size) == sha256
    finally:
        os.close(descriptor)


def _digest(descriptor: int, size: int) -> str:
    digest = hashlib.sha256()
    while part := os.read(descriptor, min(CHUNK, size + 1)):
        digest.update(part)
    return digest.hexdigest()


_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_HINT = "it was damaged on the way or in the store; push the files again"
