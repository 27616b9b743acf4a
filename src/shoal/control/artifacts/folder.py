"""Blobs as files of a folder: the store of one machine.

    layout            says that the folders below are there for good
    blobs/ab/abcd...  by the first two digits of their names
    tmp/              in the making
    gate              lock: putting shares it, deleting has it alone

A blob is written to `tmp/`, flushed to the disk, renamed, and its new name flushed too; only then does `put` return. A
kill or a power cut at any step leaves the blob there in whole, or not there, and a leftover in `tmp/` that the next
start collects. `put_many` does so in batches, with two flushes of the file system each.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from shoal.control.artifacts.blobs import Blob, Stored, check_digest, is_digest, missing
from shoal.control.artifacts.disk import locked, sync_filesystem, sync_folder, telling, write_all
from shoal.control.artifacts.scratch import YOUNG_SECONDS, Scratch
from shoal.control.artifacts.transfer import chunks, matches
from shoal.core.errors import ConfigError

BATCH = 1024
LAYOUT = b"shoal blobs 1\n"
_WHAT = "the artifact store"


class FolderStore:
    """A `BlobStore` below a folder, which is made if it is not there; several processes may use it at once.

    Args:
        root: the folder.
        clock: Unix seconds, for the age of blobs.
        young_seconds: see `scratch`.
    """

    def __init__(
        self, root: Path, *, clock: Callable[[], float] = time.time, young_seconds: float = YOUNG_SECONDS
    ) -> None:
        self._root = root
        self._blobs = root / "blobs"
        self._gate = root / "gate"
        self._clock = clock
        self._scratch = Scratch(root / "tmp")
        with telling(_WHAT):
            self._lay_out()
            self._scratch.collect(young_seconds)

    def has(self, sha256: str) -> bool:
        with telling(_WHAT):
            return self._path(sha256).is_file()

    def open(self, sha256: str) -> BinaryIO:
        path = self._path(sha256)
        with telling(_WHAT):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise missing(sha256) from error
            return os.fdopen(descriptor, "rb", buffering=0)

    def put(self, sha256: str, size: int, source: BinaryIO) -> bool:
        target = self._path(sha256)
        with telling(_WHAT):
            if self._refresh(target, sha256, size):
                sync_folder(target.parent)
                return False
            self._write(target, Blob(sha256, size, source))
        return True

    def put_many(self, blobs: Iterable[Blob]) -> int:
        remaining = iter(blobs)
        written = 0
        while first := next(remaining, None):
            written += self._put_batch(itertools.chain([first], itertools.islice(remaining, BATCH - 1)))
        return written

    def delete(self, sha256: str, *, unless_newer_than: float | None = None) -> bool:
        path = self._path(sha256)
        with telling(_WHAT), locked(self._gate, exclusive=True):
            try:
                if unless_newer_than is not None and path.stat().st_mtime > unless_newer_than:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def list(self) -> Iterator[Stored]:
        with telling(_WHAT):
            for folder in sorted(self._blobs.iterdir()):
                yield from _stored(folder)

    def close(self) -> None:
        """Nothing is held between calls."""

    def _path(self, sha256: str) -> Path:
        return self._blobs / check_digest(sha256)[:2] / sha256

    def _lay_out(self) -> None:
        """Make the folders, once: no later step depends on the durability of a folder's own name."""
        mark = self._root / "layout"
        if mark.exists():
            _check_layout(mark)
            return
        for name in ("tmp", "blobs", *(f"blobs/{number:02x}" for number in range(256))):
            (self._root / name).mkdir(parents=True, exist_ok=True)
        sync_filesystem(self._root)
        with self._scratch.file() as staged:
            write_all(staged.descriptor, LAYOUT)
            os.fsync(staged.descriptor)
            os.replace(staged.path, mark)
        sync_folder(self._root)

    def _refresh(self, path: Path, sha256: str, size: int) -> bool:
        """Make a blob that is there young; false if it is not, or is not what it should be."""
        with locked(self._gate, exclusive=False):
            if not matches(path, sha256, size):
                return False
            self._date(path)
            return True

    def _date(self, path: Path | int) -> None:
        now = self._clock()
        os.utime(path, (now, now))

    def _write(self, target: Path, blob: Blob) -> None:
        with self._scratch.file() as staged:
            self._fill(staged.descriptor, blob)
            os.fsync(staged.descriptor)
            with locked(self._gate, exclusive=False):
                os.replace(staged.path, target)
            sync_folder(target.parent)

    def _fill(self, descriptor: int, blob: Blob) -> None:
        for part in chunks(blob.source, blob.sha256, blob.size):
            write_all(descriptor, part)
        os.fchmod(descriptor, 0o444)
        self._date(descriptor)

    def _put_batch(self, blobs: Iterable[Blob]) -> int:
        with telling(_WHAT), self._scratch.tree() as staging:
            staged = [blob.sha256 for blob in blobs if self._stage(staging, blob)]
            sync_filesystem(self._root)
            with locked(self._gate, exclusive=False):
                for sha256 in staged:
                    os.replace(staging / sha256, self._path(sha256))
            sync_filesystem(self._root)
        return len(staged)

    def _stage(self, staging: Path, blob: Blob) -> bool:
        """Write a blob of a batch; false if the store or the batch has it already."""
        if self._refresh(self._path(blob.sha256), blob.sha256, blob.size):
            return False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(staging / blob.sha256, flags, 0o600)
        except FileExistsError:
            return False
        try:
            self._fill(descriptor, blob)
        finally:
            os.close(descriptor)
        return True


def _stored(folder: Path) -> Iterator[Stored]:
    for name in filter(is_digest, os.listdir(folder)):
        try:
            status = (folder / name).stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield Stored(name, status.st_size, status.st_mtime)


def _check_layout(mark: Path) -> None:
    found = mark.read_bytes()
    if found != LAYOUT:
        hint = "it was made by another version of Shoal; use that, or another folder"
        raise ConfigError(f"{mark.parent} is laid out in a way that is not known: {found[:40]!a}", hint=hint)
