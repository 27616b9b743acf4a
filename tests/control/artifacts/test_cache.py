"""The machine's cache: filled once, right each time, bounded, never taken from under a user."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts import filling
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.folder import FolderStore
from shoal.control.artifacts.retrying import Retry
from shoal.core.errors import CorruptArtifact, InvalidInput, NotFound, StorageFull, Unavailable
from shoal.core.registry import FileEntry, Manifest
from shoal.testing.stores import MemoryStore, blob_of, name_of

AT_ONCE = Retry(attempts=3, sleep=lambda seconds: None)


def push(store: MemoryStore, **files: bytes) -> Manifest:
    """Put files into a store; ``a__b`` stands for the path ``a/b``."""
    for data in files.values():
        store.put(*blob_of(data))
    return Manifest(tuple(FileEntry(name.replace("__", "/"), len(data), name_of(data)) for name, data in files.items()))


def content(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def cache(tmp_path: Path, store: MemoryStore) -> Iterator[ArtifactCache]:
    cache = ArtifactCache(tmp_path / "cache", store, 1_000, retry=AT_ONCE)
    yield cache
    cache.close()
    assert os.listdir(tmp_path / "cache" / "tmp") == []


def test_a_tree_is_fetched_once(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, model=b"weights", sub__tokens=b"words")
    for _ in range(3):
        assert content(cache.materialise(manifest)) == {"model": b"weights", "sub/tokens": b"words"}
    assert (store.reads, cache.misses, cache.hits, cache.bytes) == (2, 1, 2, 12)


def test_files_are_read_only_and_shared_by_trees(cache: ArtifactCache, store: MemoryStore, tmp_path: Path) -> None:
    first = cache.materialise(push(store, a=b"same", b=b"one"))
    second = cache.materialise(push(store, a=b"same", b=b"two"))
    assert (first / "a").stat().st_ino == (second / "a").stat().st_ino
    assert (first / "a").stat().st_mode & 0o777 == 0o444
    assert store.reads == 3
    assert cache.held == 10


def test_an_artifact_may_hold_the_same_bytes_twice_or_no_bytes(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, a=b"same", b=b"same", c=b"")
    assert content(cache.materialise(manifest)) == {"a": b"same", "b": b"same", "c": b""}
    assert cache.held == 4


def test_what_is_cached_needs_no_store(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, a=b"one")
    cache.materialise(manifest)
    store.content.clear()
    assert content(cache.materialise(manifest)) == {"a": b"one"}


@pytest.mark.parametrize("rot", [b"oNe", b"on", b"one more", b""])
def test_bit_rot_in_the_cache_is_fetched_again(cache: ArtifactCache, store: MemoryStore, rot: bytes) -> None:
    manifest = push(store, a=b"one", b=b"two")
    damage(cache.materialise(manifest) / "a", rot)
    assert content(cache.materialise(manifest)) == {"a": b"one", "b": b"two"}
    assert (cache.refetches, store.reads) == (1, 3)
    assert content(cache.materialise(manifest)) == {"a": b"one", "b": b"two"}
    assert store.reads == 3


def test_rot_in_a_shared_blob_is_not_handed_to_the_next_tree(cache: ArtifactCache, store: MemoryStore) -> None:
    damage(cache.materialise(push(store, a=b"one")) / "a", b"oNe")
    assert content(cache.materialise(push(store, a=b"one", b=b"two"))) == {"a": b"one", "b": b"two"}


def test_rot_without_a_store_is_an_error_and_never_an_answer(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, a=b"one")
    damage(cache.materialise(manifest) / "a", b"oNe")
    store.content.clear()
    with pytest.raises(NotFound, match="no blob"):
        cache.materialise(manifest)
    store.put(*blob_of(b"one"))
    assert content(cache.materialise(manifest)) == {"a": b"one"}


def test_rot_in_the_store_is_told_after_a_second_look(cache: ArtifactCache, store: MemoryStore, tmp_path: Path) -> None:
    manifest = push(store, a=b"one")
    store.content[name_of(b"one")] = b"oNe"
    with pytest.raises(CorruptArtifact, match="not what its digest says") as caught:
        cache.materialise(manifest)
    assert caught.value.hint
    assert (store.reads, cache.refetches) == (2, 1)
    assert os.listdir(tmp_path / "cache" / "trees") == []
    assert cache.held == 0


def test_what_does_not_belong_into_a_tree_is_removed(cache: ArtifactCache, store: MemoryStore, tmp_path: Path) -> None:
    manifest = push(store, sub__a=b"one", b=b"two")
    tree = cache.materialise(manifest)
    (tree / "conftest.py").write_text("raise SystemExit")
    (tree / "b").unlink()
    (tree / "b").mkdir()
    (tree / "b" / "inside").write_text("")
    (tree / "sub" / "a").unlink()
    (tree / "sub" / "a").symlink_to("/etc/passwd")
    assert content(cache.materialise(manifest)) == {"sub/a": b"one", "b": b"two"}
    assert not (tree / "sub" / "a").is_symlink()


def test_a_file_where_a_folder_was_is_repaired(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, sub__a=b"one")
    tree = cache.materialise(manifest)
    (tree / "sub" / "a").unlink()
    (tree / "sub").rmdir()
    (tree / "sub").write_text("")
    assert content(cache.materialise(manifest)) == {"sub/a": b"one"}


def test_a_store_that_comes_back_is_waited_for(tmp_path: Path, store: MemoryStore) -> None:
    manifest = push(store, a=b"one")
    failures = iter([Unavailable("away"), Unavailable("away")])

    class Flaky:
        def open(self, sha256: str):
            for failure in failures:
                raise failure
            return store.open(sha256)

    cache = ArtifactCache(tmp_path, Flaky(), 100, retry=AT_ONCE)
    assert content(cache.materialise(manifest)) == {"a": b"one"}
    cache.close()


@pytest.mark.parametrize("path", ["../a", "/a", "a/../b", "", ".", "a\\b", "a//b", "a\0"])
def test_a_manifest_that_leads_out_is_refused(cache: ArtifactCache, store: MemoryStore, path: str) -> None:
    push(store, a=b"one")
    with pytest.raises(InvalidInput):
        cache.materialise(Manifest((FileEntry(path, 3, name_of(b"one")),)))


def test_a_digest_that_leads_out_is_refused(cache: ArtifactCache) -> None:
    with pytest.raises(InvalidInput):
        cache.materialise(Manifest((FileEntry("a", 3, "../../etc/passwd"),)))


def numbered(store: MemoryStore, number: int, size: int = 300) -> Manifest:
    return push(store, model=b"%03d" % number * (size // 3))


def test_the_tree_not_used_for_longest_goes_first(tmp_path: Path, store: MemoryStore) -> None:
    now = iter(range(100))
    cache = ArtifactCache(tmp_path, store, 1_000, clock=lambda: next(now))
    first, second, third, fourth = (numbered(store, number) for number in range(4))
    for each in (first, second, third, first, fourth):
        cache.materialise(each)
    assert (cache.evictions, cache.held) == (1, 900)
    reads = store.reads
    for each in (first, third, fourth):
        cache.materialise(each)
    assert store.reads == reads
    cache.materialise(second)
    assert store.reads == reads + 1
    cache.close()


def test_a_leased_tree_is_never_evicted(cache: ArtifactCache, store: MemoryStore) -> None:
    with cache.lease(numbered(store, 0)) as lease, cache.lease(numbered(store, 0)) as again:
        assert lease.path == again.path
        again.release()
        again.release()
        for number in range(1, 10):
            cache.materialise(numbered(store, number))
        assert content(lease.path) == content(cache.materialise(numbered(store, 0)))
        assert cache.misses == 10
    for number in range(1, 10):
        cache.materialise(numbered(store, number))
    assert not lease.path.exists()


def test_when_all_is_leased_there_is_no_room(cache: ArtifactCache, store: MemoryStore) -> None:
    leases = [cache.lease(numbered(store, number)) for number in range(3)]
    with pytest.raises(StorageFull, match="in use") as caught:
        cache.materialise(numbered(store, 3))
    assert "more bytes" in caught.value.hint
    leases[0].release()
    cache.materialise(numbered(store, 3))
    for each in leases:
        each.release()


def test_what_can_never_fit_is_told_with_sizes(cache: ArtifactCache, store: MemoryStore) -> None:
    kept = numbered(store, 0)
    cache.materialise(kept)
    with pytest.raises(StorageFull, match=r"1,000 bytes, and the artifact has 1,200"):
        cache.materialise(numbered(store, 1, 1_200))


def test_a_count_left_too_high_is_put_right(tmp_path: Path, store: MemoryStore) -> None:
    cache = ArtifactCache(tmp_path, store, 1_000)
    cache.materialise(numbered(store, 0))
    (tmp_path / "usage").write_bytes((990).to_bytes(8, "little"))
    cache.materialise(numbered(store, 1))
    assert (cache.held, cache.evictions) == (600, 0)
    (tmp_path / "usage").unlink()
    assert cache.held == 600
    cache.close()


def test_a_disk_without_links_gets_copies(
    cache: ArtifactCache, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "_link", lambda old, new: False)
    for _ in range(2):
        for number in range(6):
            cache.materialise(numbered(store, number))
            assert cache.held <= 1_000
    assert cache.evictions >= 9


def test_many_threads_fetch_once(cache: ArtifactCache, store: MemoryStore) -> None:
    manifest = push(store, a=os.urandom(500))
    start = threading.Barrier(16)

    def run() -> None:
        start.wait(20)
        cache.materialise(manifest)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (store.reads, cache.misses, cache.hits) == (1, 1, 15)


CHILD = """
import sys
from pathlib import Path
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.folder import FolderStore
from shoal.core.registry import Manifest
import msgspec
root, limit = Path(sys.argv[1]), int(sys.argv[2])
cache = ArtifactCache(root / "cache", FolderStore(root / "store"), limit)
manifests = [msgspec.json.decode(line, type=Manifest) for line in (root / "manifests").read_bytes().splitlines()]
input()
for turn in range(int(sys.argv[3])):
    for manifest in manifests:
        with cache.lease(manifest) as lease:
            assert sorted(path.name for path in lease.path.iterdir()) == ["common", "model"]
            assert cache.held <= limit, cache.held
print(cache.misses, cache.hits)
if sys.argv[4:]:
    kept = cache.lease(manifests[0])
    print(kept.path, flush=True)
    input()
"""


def shared(root: Path, count: int) -> list[Manifest]:
    store = FolderStore(root / "store")
    memory = MemoryStore()
    made = [push(memory, model=os.urandom(3_000), common=b"c" * 1_000) for _ in range(count)]
    store.put_many(blob_of(data) for data in memory.content.values())
    (root / "manifests").write_bytes(b"\n".join(each.encode() for each in made))
    return made


def start(root: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(root), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.process
def test_processes_share_the_cache_and_fetch_once(tmp_path: Path) -> None:
    shared(tmp_path, 20)
    children = [start(tmp_path, 1_000_000, 1) for _ in range(3)]
    for each in children:
        each.stdin.write("\n")  # type: ignore[union-attr]
        each.stdin.flush()  # type: ignore[union-attr]
    told = [each.communicate(timeout=50)[0].split() for each in children]
    assert sum(int(misses) for misses, _ in told) == 20
    assert sum(int(hits) for _, hits in told) == 40


@pytest.mark.process
def test_processes_keep_the_bound_together(tmp_path: Path) -> None:
    shared(tmp_path, 12)
    children = [start(tmp_path, 20_000, 6) for _ in range(3)]
    told = [each.communicate("\n", timeout=50)[0].split() for each in children]
    assert all(int(misses) + int(hits) == 72 for misses, hits in told)
    files = {path.stat().st_ino: path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert sum(files.values()) < 20_500


@pytest.mark.process
def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    first, second = shared(tmp_path, 2)
    (tmp_path / "manifests").write_bytes(first.encode())
    child = start(tmp_path, 20_000, 1, "keep")
    try:
        child.stdin.write("\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
        child.stdout.readline()  # type: ignore[union-attr]
        kept = Path(child.stdout.readline().strip())  # type: ignore[union-attr]
        cache = ArtifactCache(tmp_path / "cache", FolderStore(tmp_path / "store"), 5_000)
        with pytest.raises(StorageFull):
            cache.materialise(second)
        assert kept.exists()
    finally:
        child.kill()
        child.communicate()
    cache.materialise(second)
    assert not kept.exists()
    cache.close()


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["use", "lease", "drop", "rot"])), max_size=40))
def test_it_is_right_and_bounded_whatever_is_done(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    store = MemoryStore()
    cache = ArtifactCache(tmp_path_factory.mktemp("cache"), store, 1_500, retry=AT_ONCE)
    manifests = [numbered(store, number, 150 + 30 * number) for number in range(10)]
    leases: dict[int, list] = {}
    for number, step in steps:
        manifest = manifests[number]
        if step == "drop":
            for each in leases.pop(number, []):
                each.release()
            continue
        try:
            lease = cache.lease(manifest)
        except StorageFull:
            assert leases
            continue
        assert content(lease.path) == {"model": store.content[manifest.files[0].sha256]}
        assert cache.held <= 1_500
        if step == "rot":
            damage(lease.path / "model", b"rotten")
        if step == "lease":
            leases.setdefault(number, []).append(lease)
        else:
            lease.release()
    cache.close()
