"""Pushing a folder and pulling it again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts import storing
from shoal.control.artifacts.storing import retrieve, store
from shoal.core.errors import Conflict, CorruptArtifact, InvalidInput, NotFound, ShoalError
from shoal.core.registry import FileEntry, Manifest
from shoal.testing.stores import MemoryStore, name_of


def staged(folder: Path, files: dict[str, bytes]) -> Manifest:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return Manifest(tuple(FileEntry(path, len(data), name_of(data)) for path, data in files.items()))


@given(st.dictionaries(st.sampled_from(["a", "b/c", "b/d", "e/f/g"]), st.binary(max_size=100)))
def test_what_was_pushed_is_pulled(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("push")
    manifest = staged(folder / "in", files)
    blobs = MemoryStore()
    assert store(folder / "in", manifest, blobs) == manifest
    out = retrieve(manifest, blobs, folder / "deep" / "out")
    assert {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    assert os.listdir(folder / "deep") == ["out"]
    assert out.stat().st_mode & 0o777 == 0o755


def test_large_and_small_files_are_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "SMALL_BYTES", 10)
    monkeypatch.setattr(storing, "MANY", 1)
    manifest = staged(tmp_path, {"a": b"small", "b": b"small", "c": b"l" * 11, "d": b"l" * 11})
    blobs = MemoryStore()
    store(tmp_path, manifest, blobs)
    assert sorted(blobs.content.values()) == [b"l" * 11, b"small"]


def test_a_file_that_has_changed_since_intake_is_refused(tmp_path: Path) -> None:
    manifest = staged(tmp_path, {"a": b"one"})
    (tmp_path / "a").write_bytes(b"two")
    with pytest.raises(CorruptArtifact):
        store(tmp_path, manifest, MemoryStore())
    (tmp_path / "a").unlink()
    with pytest.raises(ShoalError, match="the staged file a"):
        store(tmp_path, manifest, MemoryStore())


@pytest.mark.parametrize("damage", ["rot", "gone"])
def test_a_damaged_store_gives_no_folder(tmp_path: Path, damage: str) -> None:
    manifest = staged(tmp_path / "in", {"a": b"one", "b": b"two"})
    blobs = MemoryStore()
    store(tmp_path / "in", manifest, blobs)
    if damage == "rot":
        blobs.content[name_of(b"two")] = b"tWo"
    else:
        del blobs.content[name_of(b"two")]
    with pytest.raises(CorruptArtifact if damage == "rot" else NotFound):
        retrieve(manifest, blobs, tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    blobs = MemoryStore()
    manifest = staged(tmp_path / "in", {"a": b"one"})
    store(tmp_path / "in", manifest, blobs)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("out", "file", "link"):
        with pytest.raises(Conflict, match="there already"):
            retrieve(manifest, blobs, tmp_path / name)
    assert os.listdir(tmp_path / "out") == ["mine"]


def test_a_manifest_cannot_lead_out(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="leads upwards"):
        retrieve(Manifest((FileEntry("../a", 0, name_of(b"")),)), MemoryStore(), tmp_path / "out")
    assert os.listdir(tmp_path) == []
