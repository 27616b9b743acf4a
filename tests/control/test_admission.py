"""What may be registered is told from the files, of which no more is read than is looked at."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from shoal.control.admission import HEAD_BYTES, Admission
from shoal.control.permissions import LocalPermissions
from shoal.core.errors import InvalidInput, NotFound, PermissionDenied
from shoal.core.registry import FileEntry, Manifest, NewVersion, Policy


class Blobs:
    """Blobs in memory, and how much of them was read."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.read = 0

    def add(self, path: str, content: bytes) -> FileEntry:
        name = hashlib.sha256(content).hexdigest()
        self.contents[name] = content
        return FileEntry(path, len(content), name)

    def has(self, sha256: str) -> bool:
        return sha256 in self.contents

    def open(self, sha256: str) -> BinaryIO:
        if sha256 not in self.contents:
            raise NotFound("no such blob")
        counting = self

        class Counting(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                data = super().read(size)
                counting.read += len(data)
                return data

        return Counting(self.contents[sha256])


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def admission(blobs: Blobs, *, allow_code: bool = False) -> Admission:
    return Admission(blobs, scratch, LocalPermissions(allow_code=allow_code))  # type: ignore[arg-type]


def test_of_a_large_file_the_beginning_is_read_and_only_once() -> None:
    blobs = Blobs()
    manifest = Manifest((blobs.add("model.onnx", b"\x08" + bytes(4 * HEAD_BYTES)),))
    deciding = admission(blobs)
    for _ in range(2):
        admitted = deciding.admit(NewVersion(model="m", manifest=manifest), Policy(), "ann")
        assert (admitted.runtime, admitted.trust, blobs.read) == ("onnx", "", HEAD_BYTES)


def test_what_must_be_looked_into_is_read_whole() -> None:
    blobs = Blobs()
    manifest = Manifest((blobs.add("model.pt", bytes(3 * HEAD_BYTES)),))
    with pytest.raises(PermissionDenied, match="pickle"):
        admission(blobs).admit(NewVersion(model="m", manifest=manifest), Policy(), "ann")
    assert blobs.read == 3 * HEAD_BYTES


def test_the_permission_is_asked_for_actor_and_model() -> None:
    asked = []

    class Some:
        def allows(self, actor: str, action: str, namespace: str, model: str) -> bool:
            asked.append((actor, action, namespace, model))
            return actor == "ann"

    blobs = Blobs()
    new = NewVersion(namespace="team-a", model="m", manifest=Manifest((blobs.add("m.pkl", b"\x80\x04N."),)))
    deciding = Admission(blobs, scratch, Some())  # type: ignore[arg-type]
    assert deciding.admit(new, Policy(), "ann").trust == "code"
    with pytest.raises(PermissionDenied):
        deciding.admit(new, Policy(), "bob")
    assert asked == [("ann", "deploy:code", "team-a", "m"), ("bob", "deploy:code", "team-a", "m")]


@pytest.mark.parametrize(
    ("path", "content"),
    [("model.onnx", b"\x80\x04N."), ("model.onnx", b"\x7fELF"), ("x.skops", b"\x80\x04N."), ("m.bin", b"")],
)
def test_disguises_and_unknown_formats_are_refused(path: str, content: bytes) -> None:
    blobs = Blobs()
    manifest = Manifest((blobs.add(path, content),))
    with pytest.raises(InvalidInput):
        admission(blobs, allow_code=True).admit(NewVersion(model="m", manifest=manifest), Policy(), "ann")


def test_a_file_that_is_not_there_is_named() -> None:
    manifest = Manifest((FileEntry("model.onnx", 1, "0" * 64),))
    with pytest.raises(NotFound, match=r"'model\.onnx'"):
        admission(Blobs()).admit(NewVersion(model="m", manifest=manifest), Policy(), "ann")
    with pytest.raises(NotFound, match=r"'model\.onnx'"):
        admission(Blobs()).require_blobs(manifest)


def test_sizes_that_are_claimed_take_no_room() -> None:
    blobs = Blobs()
    entry = blobs.add("model.onnx", b"\x08abc")
    huge = Manifest((FileEntry("model.onnx", 2**50, entry.sha256),))
    with pytest.raises(InvalidInput, match="has 4 bytes, not 1125899906842624"):
        admission(blobs).admit(NewVersion(model="m", manifest=huge), Policy(), "ann")
