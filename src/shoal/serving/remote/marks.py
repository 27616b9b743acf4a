"""What a model version is made of, as one short text: a proxy and a host that have the same mark have the same model.

It covers the files and what `model.yaml` says of how they are run; not where they lie, how requests are batched and
what workers may use: that is each process's own. Files that are registered are named by their digest; others are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shoal.core.errors import NotReady
from shoal.core.model import ModelSpec

SETTINGS = ("model.yaml",)
"""Files whose meaning is in the spec."""
CACHES = ("__pycache__",)
"""Folders that Python writes beside what it imports."""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def mark_of(spec: ModelSpec) -> str:
    """The mark of a version; reads its files unless they are registered, so it belongs into a thread.

    Raises:
        NotReady: they cannot be read.
    """
    said = (
        spec.runtime,
        spec.implementation,
        spec.inputs,
        spec.outputs,
        spec.parameters,
        spec.warmup,
        spec.batchable,
        spec.allow_nonfinite,
    )
    mark = hashlib.sha256(_encode(said))
    if spec.digest:
        mark.update(spec.digest.encode())
        return mark.hexdigest()
    try:
        for name, path in _files(Path(spec.path)):
            mark.update(_encode((name, _digest(path))))
    except OSError as error:
        raise NotReady(f"the files of model {spec.name!r} cannot be read: {error.strerror}") from error
    return mark.hexdigest()


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """All files of an artifact with their names inside it, in one order everywhere."""
    if not root.is_dir():
        yield "", root
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if each not in CACHES and not each.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if name not in SETTINGS and not name.startswith(".") and path.is_file():
                yield path.relative_to(root).as_posix(), path


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
