"""Changes to a whole control in a process of its own, so that it can be killed anywhere: `python -m ... HOME FIRST`.

The steps follow one another; each that returned is told by a line on standard output, written at once. They are the
same for everybody, to the last row, so that what a killed one has left can be compared with what one in peace has.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.control.artifacts.folder import FolderStore
from shoal.control.control import Control
from shoal.control.registry import open_registry
from shoal.core.catalogue import CollectRequest
from shoal.core.errors import ShoalError
from shoal.core.registry import FileEntry, Manifest, NewVersion
from shoal.core.settings.control import ControlSettings

NOW = 1000.0
MODEL = ("default", "iris")


@contextmanager
def opened(home: Path) -> Iterator[Control]:
    """A control over a registry and a folder of blobs, whose clock stands still."""
    home.mkdir(exist_ok=True)
    registry = open_registry(f"sqlite:///{home / 'registry.db'}", clock=lambda: NOW)
    try:
        yield Control(registry, FolderStore(home / "store", young_seconds=-1), ControlSettings(home=home))
    finally:
        registry.close()


def content(name: str) -> bytes:
    """The beginning of an ONNX file, and something of its own."""
    return b"\x08\x07" + name.encode() * 2000


def publish(control: Control, *names: str) -> None:
    """Store the files, then register a version of them, as who pushes does."""
    entries = []
    for name in names:
        data = content(name)
        digest = hashlib.sha256(data).hexdigest()
        control.blobs.put(digest, len(data), io.BytesIO(data))
        entries.append(FileEntry(f"{'model' if name == names[0] else name}.onnx", len(data), digest))
    control.register(NewVersion(model=MODEL[1], manifest=Manifest(tuple(entries))), actor="ann")


def move(control: Control, ref: str) -> None:
    control.move_stage(*MODEL, "production", ref, actor="ann")


def collect(control: Control) -> None:
    control.collect(CollectRequest(keep_deleted_seconds=0.0, grace_seconds=0.0), actor="ann")


def prepare(control: Control) -> None:
    """What is there before the steps: three versions, a stage that has moved, and something to collect."""
    for name in ("one", "two", "three"):
        publish(control, name, "shared")
    for ref in ("1", "2"):
        move(control, ref)
    control.registry.delete_version(*MODEL, 3)


STEPS: list[Callable[[Control], object]] = [
    lambda control: publish(control, "four", "shared", "more"),
    lambda control: move(control, "4"),
    lambda control: control.rollback(*MODEL, "production", actor="ann"),
    lambda control: control.registry.delete_version(*MODEL, 1, actor="ann"),
    collect,
]
"""Publish, promote, roll back, delete, collect."""


def run(home: Path, first: int) -> None:
    """Take the steps from this one on, and tell of each; one that is refused ends it."""
    with opened(home) as control:
        os.write(1, b"opened\n")
        for step in STEPS[first:]:
            try:
                step(control)
            except ShoalError as error:
                os.write(1, f"refused {error.code}: {error.message}\n".encode())
                return
            os.write(1, b"done\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))
