"""The store of one machine: the contract of all stores, and what a disk can do to it."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.artifacts import folder
from shoal.control.artifacts.blobs import BlobStore
from shoal.control.artifacts.folder import FolderStore
from shoal.core.errors import ConfigError, PermissionDenied, ShoalError, StorageFull, Unavailable
from shoal.testing.stores import BlobStoreContract, MemoryStore, blob_of, name_of, read


class TestMemoryStore(BlobStoreContract):
    @pytest.fixture
    def store(self) -> BlobStore:
        return MemoryStore()


class TestFolderStore(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[BlobStore]:
        store = FolderStore(tmp_path / "store")
        yield store
        store.close()
        assert os.listdir(tmp_path / "store" / "tmp") == []


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_names_come_from_digests_alone(tmp_path: Path) -> None:
    FolderStore(tmp_path).put(*blob_of(b"one"))
    name = name_of(b"one")
    assert files(tmp_path) == [f"blobs/{name[:2]}/{name}", "gate", "layout"]
    assert (tmp_path / "blobs" / name[:2] / name).stat().st_mode & 0o777 == 0o444


def test_a_damaged_blob_is_healed_by_the_next_put(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(*blob_of(b"right"))
    path = tmp_path / "blobs" / name_of(b"right")[:2] / name_of(b"right")
    path.chmod(0o644)
    path.write_bytes(b"wrong")
    assert store.put(*blob_of(b"right"))
    assert read(store, name_of(b"right")) == b"right"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EIO, Unavailable),
        (errno.EROFS, PermissionDenied),
    ],
)
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("many", [False, True])
def test_a_disk_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, kind: type[ShoalError], many: bool
) -> None:
    store = FolderStore(tmp_path)

    def fail(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        if step == "fsync" and many:
            patched.setattr(folder, "sync_filesystem", fail)
        else:
            patched.setattr(os, step, fail)
        with pytest.raises(kind, match="the artifact store") as caught:
            store.put_many([blob_of(b"one")]) if many else store.put(*blob_of(b"one"))
        assert caught.value.hint
    assert not store.has(name_of(b"one"))
    assert os.listdir(tmp_path / "tmp") == []
    assert store.put(*blob_of(b"one")), "it works again after the fault"


def test_leftovers_of_the_dead_are_collected_and_work_of_the_living_is_not(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    (tmp_path / "tmp" / "left").write_bytes(b"half")
    (tmp_path / "tmp" / "tree").mkdir()
    (tmp_path / "tmp" / "tree" / "left").write_bytes(b"half")
    gate = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            gate.wait(20)
            return super().read(size)

    writer = threading.Thread(target=store.put, args=(name_of(b"slow"), 4, Slow(b"slow")))
    writer.start()
    try:
        while len(os.listdir(tmp_path / "tmp")) < 3:
            pass
        FolderStore(tmp_path)
        assert len(os.listdir(tmp_path / "tmp")) == 3, "too young to be told from work that begins"
        FolderStore(tmp_path, young_seconds=-1)
        assert len(os.listdir(tmp_path / "tmp")) == 1
    finally:
        gate.set()
        writer.join()
    assert read(store, name_of(b"slow")) == b"slow"


def test_a_store_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "layout").write_text("shoal blobs 9\n")
    with pytest.raises(ConfigError, match="shoal blobs 9"):
        FolderStore(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ShoalError, match="the artifact store"):
        FolderStore(tmp_path / "file" / "store")


def test_many_threads_may_put_the_same(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    data = os.urandom(100_000)
    threads = [threading.Thread(target=store.put, args=tuple(blob_of(data))) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert read(store, name_of(data)) == data
    assert len(list(store.list())) == 1
    assert os.listdir(tmp_path / "tmp") == []


def test_a_link_in_the_store_is_not_followed_and_strangers_are_no_blobs(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    name = name_of(b"one")
    (tmp_path / "secret").write_bytes(b"one")
    (tmp_path / "blobs" / name[:2] / name).symlink_to(tmp_path / "secret")
    (tmp_path / "blobs" / name[:2] / "README").write_text("")
    with pytest.raises(ShoalError):
        store.open(name)
    assert [each.sha256 for each in store.list()] == [name]
    assert store.put(*blob_of(b"one")), "the link is replaced by the blob"
    assert not (tmp_path / "blobs" / name[:2] / name).is_symlink()
    assert read(store, name) == b"one"
