"""Diffs between scans: told once, when they have settled, and never at the cost of what is served."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.control.folder import Diff, Scan, Watcher, diff, scan, watch


def put(path: Path, content: bytes = b"\x08\x07") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names(change: Diff) -> tuple[list[str], list[str], list[str]]:
    return sorted(change.added), sorted(change.changed), sorted(change.removed)


def test_nothing_changes_between_like_scans(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    assert not diff(scan([tmp_path]), scan([tmp_path]))


def test_added_changed_and_removed_are_told(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / f"{name}.onnx")
    old = scan([tmp_path])
    put(tmp_path / "a.onnx", b"\x08\x07 longer")
    (tmp_path / "b.onnx").unlink()
    put(tmp_path / "d.onnx")
    assert names(diff(old, scan([tmp_path]))) == (["d"], ["a"], ["b"])


def test_settings_are_part_of_a_model(tmp_path: Path) -> None:
    put(tmp_path / "a" / "m.onnx")
    old = scan([tmp_path])
    put(tmp_path / "a" / "model.yaml", b"description: new\n")
    assert names(diff(old, scan([tmp_path]))) == ([], ["a"], [])


def test_version_more_or_less_is_a_change_of_the_model(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1" / "m.onnx")
    old = scan([tmp_path])
    put(tmp_path / "a" / "2" / "m.onnx")
    assert names(diff(old, scan([tmp_path]))) == ([], ["a"], [])
    assert names(diff(scan([tmp_path]), old)) == ([], ["a"], [])


def test_bad_edit_keeps_what_is_served_until_it_is_right(tmp_path: Path) -> None:
    put(tmp_path / "a" / "m.onnx")
    put(tmp_path / "a" / "model.yaml", b"description: one\n")
    first = scan([tmp_path])
    watcher = Watcher(first)

    def settle() -> Diff:
        now = scan([tmp_path])
        assert not watcher.step(now)
        return watcher.step(now)

    put(tmp_path / "a" / "model.yaml", b"descriptoin: two\n")
    change = settle()
    assert names(change) == ([], [], [])
    assert [problem.name for problem in change.problems] == ["a"]
    put(tmp_path / "a" / "model.yaml", b"description: three\n")
    assert names(settle()) == ([], ["a"], [])


def test_change_waits_until_it_has_settled(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx", b"1")
    watcher = Watcher(scan([tmp_path]))
    for content in (b"22", b"333", b"4444"):
        put(tmp_path / "a.onnx", content)
        assert not watcher.step(scan([tmp_path]))
    assert names(watcher.step(scan([tmp_path]))) == ([], ["a"], [])
    assert not watcher.step(scan([tmp_path]))


def test_going_back_is_no_change(tmp_path: Path) -> None:
    first, other = Scan(), Scan()
    watcher = Watcher(first)
    assert not watcher.step(other)
    assert not watcher.step(first)


def test_watch_tells_of_a_change_once(tmp_path: Path) -> None:
    told: list[Diff] = []
    looks = 0

    async def sleep(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            put(tmp_path / "a.onnx")
        if looks == 6:
            raise asyncio.CancelledError

    async def on_change(change: Diff) -> None:
        told.append(change)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch([tmp_path], 1.0, on_change, first=scan([tmp_path]), sleep=sleep))
    assert [names(change) for change in told] == [(["a"], [], [])]
