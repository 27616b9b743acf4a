"""Killed at every system call, told that a disk is full or broken, or cut off from power: what was told is there.

A step runs in a process of its own under `strace`, which kills it at (or fails) the N-th call of a kind. Then the store
or cache is opened again. The short form tries some N of each kind, the long form all.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.control.artifacts import folder
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.folder import FolderStore
from shoal.control.artifacts.gc import collect
from shoal.control.artifacts.trees import intact
from shoal.testing.stores import read
from support import artifact_steps as steps
from support.tools import needs

CALLS = (
    "write,pwrite64,fsync,syncfs,rename,renameat,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fchmod,fchmodat,chmod,utimensat,flock,ftruncate"
)
SAMPLE = 4


def run(root: Path, action: str, *strace: str) -> tuple[int, list[str], str]:
    """Exit code, what was told, and the trace."""
    trace = root / "trace"
    command = [
        needs("strace"),
        "-f",
        "-qq",
        "-o",
        str(trace),
        *strace,
        sys.executable,
        "-B",
        "-P",
        steps.__file__,
        str(root),
        action,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    text = trace.read_text()
    trace.unlink()
    return done.returncode, done.stdout.split("\n")[:-1], text


def points(template: Path, tmp_path: Path, action: str, kinds: str = CALLS) -> list[tuple[str, int]]:
    """Each call of a kind that a step makes from its first to its last, with its number among its kind."""
    root = copied(template, tmp_path / "dry")
    code, _, trace = run(root, action, "-e", f"trace={kinds}")
    assert code == 0
    shutil.rmtree(root)
    counts = Counter(re.findall(r"^\d+ +(\w+)\(", trace, re.MULTILINE))
    return [(name, number) for name, count in sorted(counts.items()) for number in telling(count)]


def telling(count: int) -> list[int]:
    """The numbers of calls of a kind. Where there are very many (the 256 folders of a new store), some stand for all."""
    every = range(1, count + 1)
    return [number for number in every if count <= 60 or number <= 5 or number > count - 5 or number % 32 == 0]


def copied(template: Path, root: Path) -> Path:
    shutil.copytree(template, root, symlinks=True)
    return root


def check_store(root: Path, told: list[str]) -> None:
    store = FolderStore(root / "store", young_seconds=-1)
    for each in store.list():
        data = read(store, each.sha256)
        assert hashlib.sha256(data).hexdigest() == each.sha256, "never in part"
    for sha256 in told:
        assert sha256.startswith("refused") or store.has(sha256), "what was told is there"
    assert os.listdir(root / "store" / "tmp") == []


def check_put(root: Path, told: list[str]) -> None:
    check_store(root, told)
    steps.put(root)
    assert {each.sha256 for each in FolderStore(root / "store").list()} == {
        steps.blob(data).sha256 for data in (*steps.SINGLE, *steps.TOGETHER)
    }


def check_cache(root: Path, told: list[str]) -> None:
    known = {each.digest: each for each in steps.MANIFESTS}
    trees = root / "cache" / "trees"
    for name in os.listdir(trees) if trees.exists() else []:
        assert intact(trees / name, known[name]), "a tree is there in whole"
    cache = ArtifactCache(root / "cache", FolderStore(root / "store"), steps.CACHE_BYTES, young_seconds=-1)
    for each in steps.MANIFESTS * 2:
        assert intact(cache.materialise(each), each)
        assert cache.held <= steps.CACHE_BYTES
    cache.close()
    files = {path.stat().st_ino: path.stat().st_size for path in (root / "cache").rglob("*") if path.is_file()}
    assert sum(files.values()) <= steps.CACHE_BYTES + 8
    assert os.listdir(root / "cache" / "tmp") == []


def check_gc(root: Path, told: list[str]) -> None:
    check_store(root, steps.LIVE)
    store = FolderStore(root / "store")
    left = collect(steps.LIVE, store, now=steps.FAR).count
    assert left == 0 or not told
    assert {each.sha256 for each in store.list()} == set(steps.LIVE)


def check_pull(root: Path, told: list[str]) -> None:
    there = (root / "pulled").exists()
    assert there or "pulled" not in told
    assert not there or intact(root / "pulled", steps.MANIFESTS[0])


CHECKS: dict[str, Callable[[Path, list[str]], None]] = {
    "put": check_put,
    "materialise": check_cache,
    "gc": check_gc,
    "pull": check_pull,
}


@pytest.fixture
def template(tmp_path: Path, action: str) -> Path:
    """What is there before a step: nothing for `put`, else a full store."""
    root = tmp_path / "template"
    root.mkdir()
    if action != "put":
        store = FolderStore(root / "store")
        store.put_many(map(steps.blob, (*steps.SINGLE, *steps.TOGETHER)))
    return root


def some(every: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """A sample: the first and last of each kind are likelier to matter than those between."""
    return random.sample(every, min(SAMPLE, len(every)))


def killed_at(template: Path, tmp_path: Path, action: str, chosen: list[tuple[str, int]]) -> None:
    for name, number in chosen:
        root = copied(template, tmp_path / f"{name}-{number}")
        code, told, _ = run(root, action, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
        assert code != 0, (name, number)
        CHECKS[action](root, told)
        shutil.rmtree(root)


@pytest.mark.process
@pytest.mark.parametrize("action", sorted(CHECKS))
def test_a_kill_leaves_the_old_or_the_new(template: Path, tmp_path: Path, action: str) -> None:
    killed_at(template, tmp_path, action, some(points(template, tmp_path, action)))


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("action", sorted(CHECKS))
def test_a_kill_at_any_call_leaves_the_old_or_the_new(template: Path, tmp_path: Path, action: str) -> None:
    every = points(template, tmp_path, action)
    assert len(every) > 10
    killed_at(template, tmp_path, action, every)


FAULTS = [
    ("write", "ENOSPC"),
    ("fsync", "EIO"),
    ("syncfs", "EIO"),
    ("rename", "EIO"),
    ("mkdir", "ENOSPC"),
    ("write", "EIO"),
]


def failed_at(template: Path, tmp_path: Path, action: str, chosen: list[tuple[str, int, str]]) -> None:
    for name, number, error in chosen:
        root = copied(template, tmp_path / f"{name}-{number}-{error}")
        _, told, _ = run(root, action, "-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={number}")
        assert all(
            each in ("refused storage_full", "refused unavailable") for each in told if each.startswith("refused")
        )
        for place in ("store", "cache"):
            if (root / place / "tmp").exists():
                assert os.listdir(root / place / "tmp") == [], "who lives cleans up himself"
        CHECKS[action](root, told)
        shutil.rmtree(root)


def faults(template: Path, tmp_path: Path, action: str) -> list[tuple[str, int, str]]:
    every = points(template, tmp_path, action)
    return [(name, number, error) for name, number in every for kind, error in FAULTS if kind == name]


@pytest.mark.process
@pytest.mark.parametrize("action", ["put", "materialise", "pull"])
def test_a_disk_that_is_full_or_broken_is_told(template: Path, tmp_path: Path, action: str) -> None:
    every = faults(template, tmp_path, action)
    failed_at(template, tmp_path, action, random.sample(every, min(SAMPLE, len(every))))


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("action", ["put", "materialise", "pull"])
def test_a_disk_that_fails_at_any_call_is_told(template: Path, tmp_path: Path, action: str) -> None:
    failed_at(template, tmp_path, action, faults(template, tmp_path, action))


class Disk:
    """What a disk would hold after a power cut: contents and names as of the last time each was flushed."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = root
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        self.flushes = 0
        fsync, replace = os.fsync, os.replace

        def flushed(descriptor: int) -> None:
            fsync(descriptor)
            self.flushes += 1
            self._keep(os.readlink(f"/proc/self/fd/{descriptor}"))

        def replaced(old: Path, new: Path) -> None:
            replace(old, new)
            if new.parent.parent.name == "blobs":
                assert self.content(new) == new.read_bytes(), "a name is given to what is flushed only"

        def flushed_all(path: Path) -> None:
            self.flushes += 1
            for each, _, names in os.walk(root):
                self._keep(each)
                for name in names:
                    self._keep(os.path.join(each, name))

        monkeypatch.setattr(os, "fsync", flushed)
        monkeypatch.setattr(os, "replace", replaced)
        monkeypatch.setattr(folder, "sync_filesystem", flushed_all)

    def content(self, path: Path) -> bytes | None:
        """What was flushed of the file that has a name now."""
        return self._contents.get(path.stat().st_ino)

    def kept(self, path: Path) -> bytes | None:
        """What a file has after a power cut; None if its name, or one above it, was never flushed."""
        inner = path.relative_to(self._root).parts
        above = self._root
        for part in inner[:-1]:
            if part not in self._names.get(str(above), {}):
                return None
            above /= part
        inode = self._names.get(str(above), {}).get(inner[-1])
        return None if inode is None else self._contents.get(inode, b"")

    def _keep(self, path: str) -> None:
        if os.path.isdir(path):
            self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._contents[os.stat(path).st_ino] = Path(path).read_bytes()


def test_a_power_cut_takes_nothing_that_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(tmp_path, monkeypatch)
    told: list[bytes] = []

    def check() -> None:
        for data in told:
            name = steps.blob(data).sha256
            assert disk.kept(tmp_path / "store" / "blobs" / name[:2] / name) == data

    store = FolderStore(tmp_path / "store")
    for data in steps.SINGLE:
        store.put(*steps.blob(data))
        told.append(data)
        check()
    before = disk.flushes
    store.put_many(map(steps.blob, steps.TOGETHER))
    told += steps.TOGETHER
    check()
    assert disk.flushes == before + 2
    assert disk.kept(tmp_path / "store" / "layout") == folder.LAYOUT


def test_a_blob_that_a_killed_push_left_is_flushed_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The killed one had renamed it, and not yet flushed the name."""
    disk = Disk(tmp_path, monkeypatch)
    store = FolderStore(tmp_path / "store")
    with monkeypatch.context() as patched:
        patched.setattr(folder, "sync_folder", lambda path: None)
        store.put(*steps.blob(b"left"))
    name = steps.blob(b"left").sha256
    path = tmp_path / "store" / "blobs" / name[:2] / name
    assert disk.kept(path) is None
    assert not store.put(*steps.blob(b"left"))
    assert disk.kept(path) == b"left"
