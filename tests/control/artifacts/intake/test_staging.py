"""What is written: below the folder, once, with the bytes that a member says it has and not one more."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.artifacts.intake.members import FILE, FOLDER, Budget, Member
from shoal.control.artifacts.intake.staging import Staging, is_left_out
from shoal.core.errors import InvalidInput, Unavailable


def held(*parts: bytes) -> Iterator[bytes]:
    yield from parts
    raise AssertionError("nobody should ask for more")


@pytest.mark.parametrize("name", ["a", ".hidden"])
def test_a_member_that_is_longer_than_it_says_is_read_no_further(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="does not have the 3 bytes"):
        Staging(tmp_path, Budget()).take_all([Member(name, FILE, 3, lambda: held(b"12", b"34"))])
    assert not list(tmp_path.glob("*")) or (tmp_path / "a").read_bytes() == b"12"


def test_a_member_that_is_shorter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not have the 3 bytes"):
        Staging(tmp_path, Budget()).take_all([Member("a", FILE, 3, lambda: iter([b"12"]))])


def test_what_is_taken_is_written_and_noted(tmp_path: Path) -> None:
    staging = Staging(tmp_path, Budget())
    members = [
        Member("sub/", FOLDER),
        Member("sub/a", FILE, 4, lambda: iter([b"12", b"", b"34"])),
        Member("__MACOSX/a", FILE, 2, lambda: iter([b"12"])),
        Member("sub/.b/", FOLDER),
    ]
    staging.take_all(members)
    assert (tmp_path / "sub" / "a").read_bytes() == b"1234"
    assert [(entry.path, entry.size) for entry in staging.files.values()] == [("sub/a", 4)]
    assert staging.left_out == ["__MACOSX/a", "sub/.b"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "sub"]
    assert not stat.S_IMODE((tmp_path / "sub" / "a").stat().st_mode) & 0o7133


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_lies_there_already_is_not_written_over(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    folder = tmp_path / "staging"
    folder.mkdir()
    if kind == "file":
        (folder / "a").write_bytes(b"mine")
    else:
        (folder / "a").symlink_to(other)
    with pytest.raises((InvalidInput, Unavailable)):
        Staging(folder, Budget()).take_all([Member("a", FILE, 1, lambda: iter([b"x"]))])
    assert (folder / "a").read_bytes() == other.read_bytes() == b"mine"


def test_hidden_files_and_caches_are_left_out_wherever_they_lie() -> None:
    for path in (".env", "a/.git/b", "a/__pycache__", "__MACOSX/._a"):
        assert is_left_out(tuple(path.split("/"))), path
    for path in ("a.b", "a/b.", "pycache/a", "_/a"):
        assert not is_left_out(tuple(path.split("/"))), path


@pytest.mark.parametrize("names", [("a", "a/"), ("a/", "a"), ("b/", "B/")])
def test_folders_count_as_names_too(tmp_path: Path, names: tuple[str, str]) -> None:
    members = [
        Member(name, FOLDER) if name.endswith("/") else Member(name, FILE, 1, lambda: iter([b"x"])) for name in names
    ]
    with pytest.raises(InvalidInput, match=r"both a file and a folder|clashes"):
        Staging(tmp_path, Budget()).take_all(members)
