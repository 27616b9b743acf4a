"""Folders and files of this machine, also where names change between a look and the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.control.artifacts.intake import folders
from shoal.control.artifacts.intake.members import FILE, FOLDER, Member
from shoal.core.errors import InvalidInput, NotFound


def content(member: Member) -> bytes:
    return b"".join(member.chunks())


def test_members_come_in_the_order_of_their_names_with_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"bb")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z").write_bytes(b"z" * (folders.CHUNK + 1))
    found = [(each.name, each.kind, each.size, len(content(each))) for each in folders.read_folder(tmp_path)]
    size = folders.CHUNK + 1
    assert found == [("a/", FOLDER, 0, 0), ("a/z", FILE, size, size), ("b", FILE, 2, 2)]


def test_of_what_is_left_out_nothing_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir(mode=0)
    (tmp_path / ".secret").write_bytes(b"x")
    (tmp_path / ".secret").chmod(0)
    (tmp_path / ".pipe").symlink_to("/etc/passwd")
    found = [(each.name, each.kind, each.size, content(each)) for each in folders.read_folder(tmp_path)]
    assert found == [(".pipe", FILE, 0, b""), (".secret", FILE, 0, b""), ("__pycache__/", FOLDER, 0, b"")]


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_becomes_something_else_after_it_was_looked_at_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    mode = (tmp_path / "plain").stat().st_mode
    strange = tmp_path / "in" / "strange"
    strange.parent.mkdir()
    if kind == "link":
        strange.symlink_to(tmp_path / "plain")
    else:
        os.mkfifo(strange)
    monkeypatch.setattr(folders, "_mode", lambda *arguments: mode)
    with pytest.raises(InvalidInput, match=r"cannot be read|is no plain file") as caught:
        list(folders.read_folder(strange.parent))
    assert caught.value.hint


def test_what_goes_while_the_folder_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda descriptor: ["gone"])
    with pytest.raises(InvalidInput, match="'gone' has gone"):
        list(folders.read_folder(tmp_path))


def test_a_folder_that_is_a_link_a_file_or_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            list(folders.read_folder(tmp_path / name))
    with pytest.raises(NotFound, match="does not exist"):
        list(folders.read_folder(tmp_path / "nothing"))


def test_one_file_may_be_reached_by_a_link_and_must_be_plain(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    assert [(each.name, each.size, content(each)) for each in folders.read_file(tmp_path / "link", "m")] == [
        ("m", 3, b"abc")
    ]
    for strange in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InvalidInput, match="'m' is no plain file"):
            list(folders.read_file(strange, "m"))


def test_every_descriptor_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    before = os.listdir("/proc/self/fd")
    assert [content(each) for each in folders.read_folder(tmp_path)] == [b"", b"x"]
    assert [content(each) for each in folders.read_file(tmp_path / "a" / "b", "b")] == [b"x"]
    assert os.listdir("/proc/self/fd") == before
