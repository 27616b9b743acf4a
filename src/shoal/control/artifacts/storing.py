"""Between folders and blobs: `store` pushes what intake has staged, `retrieve` pulls the files of a version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from shoal.control.artifacts import trees
from shoal.control.artifacts.blobs import Blob, BlobSource, BlobStore
from shoal.control.artifacts.disk import telling, write_all
from shoal.control.artifacts.scratch import Scratch
from shoal.control.artifacts.transfer import chunks
from shoal.core.errors import Conflict
from shoal.core.registry import FileEntry, Manifest

SMALL_BYTES = 1024 * 1024
"""Blobs up to this size are put many at a time ..."""
MANY = 16
"""... if there are this many: flushing a whole file system may have to wait for what others write."""


def store(folder: Path, manifest: Manifest, blobs: BlobStore) -> Manifest:
    """Keep the files of a folder; when this returns they are durable, and a version may be registered.

    What the store has already is not written again, but is made young: see `blobs`.

    Raises:
        CorruptArtifact: a file is not what the manifest says.
        ShoalError: of the store; some blobs may have been kept, which the garbage collection will find.
    """
    files = list({entry.sha256: entry for entry in manifest.files}.values())
    small = [entry for entry in files if entry.size <= SMALL_BYTES]
    if len(small) >= MANY:
        blobs.put_many(_opened(folder, small))
        files = [entry for entry in files if entry.size > SMALL_BYTES]
    for blob in _opened(folder, files):
        blobs.put(*blob)
    return manifest


def retrieve(manifest: Manifest, blobs: BlobSource, destination: Path) -> Path:
    """Write the files of an artifact to a folder that is not there yet: in whole, or not at all.

    Raises:
        Conflict: the folder is there already.
        CorruptArtifact: the store has other bytes than the manifest names.
        ShoalError: of the store or the disk.
    """
    trees.check_manifest(manifest)
    with telling(f"the folder {destination.parent}"):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with Scratch(destination.parent, prefix=f".{destination.name}.").tree() as staging:
            for entry in manifest.files:
                _write(entry, blobs, staging / entry.path)
            staging.chmod(0o755)
            _publish(staging, destination)
    return destination


def _opened(folder: Path, entries: list[FileEntry]) -> Iterator[Blob]:
    for entry in entries:
        with telling(f"the staged file {entry.path}"):
            file = (folder / entry.path).open("rb")
        with file:
            yield Blob(entry.sha256, entry.size, file)


def _write(entry: FileEntry, blobs: BlobSource, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with blobs.open(entry.sha256) as source:
            for part in chunks(source, entry.sha256, entry.size):
                write_all(descriptor, part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(staging: Path, destination: Path) -> None:
    """Rename a folder to where nothing is: an empty folder in its place is taken for nothing."""
    try:
        os.rename(staging, destination)
    except OSError as error:
        if destination.exists() or destination.is_symlink():
            hint = "remove it, or name another folder"
            raise Conflict(f"{destination} is there already", hint=hint, field="destination") from error
        raise
