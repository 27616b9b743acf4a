"""Models by the thousand: tiny ones that tell which they are, registered in bulk in the home of a control.

Each is a scikit-learn regression that answers its own number to everything, so that a mixed-up answer cannot go
unnoticed. One is trained; the others are its bytes with another number in them. Model 17 is called `m000017`.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.paths import WORK
from shoal.control.artifacts import Blob
from shoal.control.artifacts.folder import FolderStore
from shoal.control.registry import Registry, open_registry
from shoal.core.registry import DEFAULT_NAMESPACE, FileEntry, Manifest, NewVersion

HOMES = WORK / "homes"
FILE = "model.joblib"
MARK = 1234.5678
"""What the trained regression answers, as `servers/train_linear.py` makes it."""
SLICE = 10_000
"""Models that are made at a time."""

Content = Callable[[int], bytes]


def name_of(number: int) -> str:
    """What a model is called."""
    return f"m{number:06}"


def number_of(name: str) -> int:
    """Which model is called so."""
    return int(name[1:])


def numbered(trained: bytes) -> Content:
    """Makes the files of models that answer their numbers.

    Raises:
        ValueError: this is not the regression with the mark.
    """
    before, mark, after = trained.partition(b"G" + struct.pack(">d", MARK))
    if not mark:
        raise ValueError("the trained regression does not answer the mark")
    return lambda number: b"".join((before, b"G", struct.pack(">d", number), after))


@dataclass(frozen=True)
class Shelf:
    """An open home: its registry and its store."""

    registry: Registry
    store: FolderStore

    def fill(self, numbers: range, content: Content) -> None:
        """Put the blobs of these models, and register them."""
        for part in slices(numbers):
            files = [(number, content(number)) for number in part]
            entries = [(number, _entry(data)) for number, data in files]
            self.store.put_many(
                Blob(entry.sha256, entry.size, io.BytesIO(data))
                for (_, entry), (_, data) in zip(entries, files, strict=True)
            )
            self.registry.register_many(_version(number, Manifest((entry,))) for number, entry in entries)

    def enter(self, numbers: range, data: bytes) -> None:
        """Register models that share one artifact, which is not stored."""
        manifest = Manifest((_entry(data),))
        for part in slices(numbers):
            self.registry.register_many(_version(number, manifest) for number in part)


@contextmanager
def home(name: str) -> Iterator[Path]:
    """An empty home, gone afterwards."""
    folder = HOMES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened(home: Path) -> Iterator[Shelf]:
    """The shelf in a home, which nobody else has open."""
    registry = open_registry(f"sqlite:///{home / 'registry.db'}")
    try:
        yield Shelf(registry, FolderStore(home / "artifacts"))
    finally:
        registry.close()


def slices(numbers: range) -> Iterable[range]:
    """The numbers in parts of `SLICE`."""
    return (numbers[at : at + SLICE] for at in range(0, len(numbers), SLICE))


def _entry(data: bytes) -> FileEntry:
    return FileEntry(FILE, len(data), hashlib.sha256(data).hexdigest())


def _version(number: int, manifest: Manifest) -> NewVersion:
    return NewVersion(
        namespace=DEFAULT_NAMESPACE, model=name_of(number), manifest=manifest, runtime="sklearn", trust="code"
    )
