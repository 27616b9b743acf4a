"""Fetching the files of a tree into a cache, and repairing a tree whose files are no longer what they were.

A file is staged, compared with its digest, and only then linked under its name; a whole tree is renamed into place when
all its files are right. What another tree holds already is linked, after a look at whether it is still right.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from shoal.control.artifacts import trees
from shoal.control.artifacts.blobs import BlobSource
from shoal.control.artifacts.circuit import Circuit
from shoal.control.artifacts.disk import remove, write_all
from shoal.control.artifacts.retrying import Retry
from shoal.control.artifacts.scratch import Scratch
from shoal.control.artifacts.transfer import chunks, matches
from shoal.control.artifacts.usage import Room
from shoal.core.errors import CorruptArtifact
from shoal.core.registry import FileEntry, Manifest


class Filler:
    """Brings files from a source to a cache.

    Attributes:
        bytes: fetched from the source.
        refetches: files that had to be fetched once more, because they were not right.
    """

    def __init__(self, blobs: Path, scratch: Scratch, source: BlobSource, retry: Retry) -> None:
        self.bytes = self.refetches = 0
        self._blobs = blobs
        self._scratch = scratch
        self._source = source
        self._retry = retry
        self._circuit = Circuit()
        self._guard = threading.Lock()

    def missing_bytes(self, manifest: Manifest) -> int:
        """What filling a tree would add to the cache."""
        needed = {entry.sha256: entry.size for entry in manifest.files}
        return sum(size for sha256, size in needed.items() if not self._blob(sha256).exists())

    def fill(self, tree: Path, manifest: Manifest, room: Room) -> None:
        """Make a tree. What was fetched stays, and is counted, even if the tree cannot be finished."""
        with self._scratch.tree() as staging:
            for entry in manifest.files:
                target = staging / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                room.used += self._place(entry, target)
            staging.chmod(0o755)
            os.rename(staging, tree)

    def repair(self, tree: Path, manifest: Manifest) -> None:
        """Replace what is wrong in a tree, file by file: who has them open keeps what he has."""
        for path in trees.unnamed(tree, manifest):
            remove(tree / path)
        for entry in trees.wrong(tree, manifest):
            with self._scratch.tree() as staging:
                self._place(entry, staging / "file")
                target = tree / entry.path
                if target.is_dir():
                    remove(target)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / "file", target)
            self._count(refetches=1)

    def _place(self, entry: FileEntry, target: Path) -> int:
        blob = self._blob(entry.sha256)
        if _link(blob, target):
            if matches(target, entry.sha256, entry.size):
                return 0
            target.unlink()
            blob.unlink(missing_ok=True)
        self._retry.call(lambda: self._circuit.call(lambda: self._fetch_right(entry, target)))
        blob.parent.mkdir(exist_ok=True)
        _link(target, blob)
        return entry.size

    def _fetch_right(self, entry: FileEntry, target: Path) -> None:
        try:
            self._fetch(entry, target)
        except CorruptArtifact:
            self._count(refetches=1)
            self._fetch(entry, target)

    def _fetch(self, entry: FileEntry, target: Path) -> None:
        target.unlink(missing_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)
        try:
            with self._source.open(entry.sha256) as source:
                for part in chunks(source, entry.sha256, entry.size):
                    write_all(descriptor, part)
                    self._count(size=len(part))
        finally:
            os.close(descriptor)

    def _blob(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256

    def _count(self, size: int = 0, refetches: int = 0) -> None:
        with self._guard:
            self.bytes += size
            self.refetches += refetches


def _link(old: Path, new: Path) -> bool:
    """Whether a second name could be given to a file; not all disks can, and a blob may be gone."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        return False
    return True
