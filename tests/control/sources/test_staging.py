"""Files on their way in."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.sources import SourcePolicy
from shoal.control.sources.staging import Staging
from shoal.core.errors import CorruptArtifact, DeadlineExceeded, InvalidInput, ShoalError, TooLarge


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def staging(folder: Path, **policy: float) -> Staging:
    return Staging(folder, SourcePolicy(**policy), Clock())  # type: ignore[arg-type]


def never() -> Iterable[bytes]:
    raise AssertionError("it must not be opened")


def files(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_files_are_written_in_their_folders(tmp_path: Path) -> None:
    room = staging(tmp_path)
    room.add("a/b.bin", 4, lambda: [b"12", b"", b"34"])
    room.add("c", 0, list)
    assert (tmp_path / "a/b.bin").read_bytes() == b"1234"
    assert stat.S_IMODE((tmp_path / "a/b.bin").stat().st_mode) & 0o7133 == 0
    assert files(tmp_path) == ["a/b.bin", "c"]
    assert room.files == 2


@pytest.mark.parametrize("path", [".git/config", "a/.hidden", "__pycache__/x.pyc", "a/__pycache__/x", ".env"])
def test_hidden_files_are_left_out_unopened(tmp_path: Path, path: str) -> None:
    room = staging(tmp_path)
    room.add(path, 1, never)
    assert room.files == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a/../../x", "a//b", "a\\b", "C:x", "a\0", "a\n", "", "é" * 200, "%2e%2e/x", "./"]
)
def test_names_that_are_not_plain_are_refused_unopened(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput):
        staging(tmp_path).add(path, 1, never)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second"), [("a", "a"), ("a", "A"), ("é", "e\u0301"), ("a", "a/b"), ("a/b", "a"), ("A/x", "a/y")]
)
def test_names_that_clash_are_refused(tmp_path: Path, first: str, second: str) -> None:
    room = staging(tmp_path)
    room.add(first, 1, lambda: [b"1"])
    with pytest.raises(InvalidInput):
        room.add(second, 1, never)


@pytest.mark.parametrize("chunks", [[b"123"], [b"1", b"2345"], [b"12345"], []])
def test_another_size_than_told_is_refused(tmp_path: Path, chunks: list[bytes]) -> None:
    with pytest.raises(CorruptArtifact, match="its 4 bytes"):
        staging(tmp_path).add("a", 4, lambda: chunks)


def test_no_more_is_read_than_was_told(tmp_path: Path) -> None:
    def endless() -> Iterable[bytes]:
        yield b"12345"
        raise AssertionError("too much was read")

    with pytest.raises(CorruptArtifact, match="more than its 4 bytes"):
        staging(tmp_path).add("a", 4, endless)


def test_budgets_are_kept_before_anything_is_opened(tmp_path: Path) -> None:
    room = staging(tmp_path, max_entries=3, max_bytes=10)
    room.add("a", 6, lambda: [b"123456"])
    with pytest.raises(TooLarge, match="more than 10 bytes"):
        room.add("b", 5, never)
    for _ in range(3):
        room.visit()
    with pytest.raises(TooLarge, match="more than 3 files and folders"):
        room.visit()


def test_the_time_is_kept_within_a_file(tmp_path: Path) -> None:
    clock = Clock()
    room = Staging(tmp_path, SourcePolicy(seconds=5), clock)

    def slow() -> Iterable[bytes]:
        for _ in range(100):
            clock.now += 1
            yield b"1"

    with pytest.raises(DeadlineExceeded, match="within 5 seconds"):
        room.add("a", 100, slow)
    assert clock.now == 6


@given(paths=st.lists(st.text("ab./\\\0A~é ", max_size=8), max_size=6))
def test_nothing_is_written_outside(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    outer = tmp_path_factory.mktemp("outer")
    inner = outer / "x" / "inner"
    inner.mkdir(parents=True)
    room = staging(inner)
    for path in paths:
        try:
            room.add(path, 1, lambda: [b"1"])
        except ShoalError:
            continue
    assert len(files(inner)) == room.files
    assert files(outer) == [f"x/inner/{each}" for each in files(inner)]
