"""Folders of service files: what is wrong with one leaves the others alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.control.services import scanning
from shoal.control.services.scanning import Folder

LONG_AGO = 1_000_000


def put(path: Path, text: str, *, at: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))
    return path


def test_files_and_folders_of_files_are_read(tmp_path: Path) -> None:
    put(tmp_path / "iris.yaml", "name: iris\nenvironments: {staging: {replicas: 1}, production: {replicas: 2}}\n")
    put(tmp_path / "wine" / "service.yml", "name: wine\nnamespace: team-a\nruntime_environment: locked.txt\n")
    put(tmp_path / "wine" / "locked.txt", "numpy==2.0.0\n")
    put(tmp_path / "wine" / "model.yaml", "runtime: onnx\n")
    put(tmp_path / ".hidden.yaml", "nothing: here")
    put(tmp_path / "notes.md", "notes")
    put(tmp_path / "deep" / "deeper" / "service.yaml", "name: deep\n")
    found = Folder(tmp_path, namespace="team-b").scan()
    assert found.problems == {}
    assert sorted(found.services) == [
        ("team-a", "wine", "production"),
        ("team-b", "iris", "production"),
        ("team-b", "iris", "staging"),
    ]
    assert found.services["team-a", "wine", "production"].requirements == "numpy==2.0.0\n"


def test_what_is_wrong_is_told_beside_the_others(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", "name: a\nreplcas: 3\n")
    put(tmp_path / "b.yaml", "name: b\n")
    (tmp_path / "c.yaml").symlink_to(tmp_path / "nowhere")
    found = Folder(tmp_path).scan()
    assert list(found.files) == ["b.yaml"]
    assert list(found.problems) == ["a.yaml"]
    assert "a.yaml:2: replcas" in found.problems["a.yaml"]


def test_files_that_describe_the_same_are_all_wrong(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", "name: x\n")
    put(tmp_path / "b.yaml", "name: x\nenvironments: {staging: {}, production: {}}\n")
    put(tmp_path / "c.yaml", "name: y\n")
    found = Folder(tmp_path).scan()
    assert list(found.files) == ["c.yaml"]
    assert found.problems["a.yaml"] == "x is described in b.yaml too: keep one of them"
    assert set(found.problems) == {"a.yaml", "b.yaml"}


def test_a_folder_that_cannot_be_listed_says_nothing_of_its_files(tmp_path: Path) -> None:
    found = Folder(tmp_path / "nothing").scan()
    assert not found.readable
    assert "cannot be read" in next(iter(found.problems.values()))


def test_too_many_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_FILES", 2)
    for name in "abc":
        put(tmp_path / f"{name}.yaml", f"name: {name}\n")
    assert not Folder(tmp_path).scan().readable


def test_files_that_have_not_changed_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = scanning.load_service_file

    def counted(path: Path, **said: str) -> scanning.LoadedServices:
        read.append(path.name)
        return load(path, **said)

    monkeypatch.setattr(scanning, "load_service_file", counted)
    put(tmp_path / "a.yaml", "name: a\nruntime_environment: locked.txt\n", at=LONG_AGO)
    lock = put(tmp_path / "locked.txt", "numpy==2.0.0\n", at=LONG_AGO)
    put(tmp_path / "b.yaml", "name: b\n", at=LONG_AGO)
    folder = Folder(tmp_path)
    first = folder.scan()
    assert folder.scan() == first
    assert read == ["a.yaml", "b.yaml"]
    put(lock, "numpy==2.1.0\n", at=LONG_AGO + 1)
    assert folder.scan().services["default", "a", "production"].requirements == "numpy==2.1.0\n"
    assert read == ["a.yaml", "b.yaml", "a.yaml"]
    lock.unlink()
    assert "there is no 'locked.txt'" in folder.scan().problems["a.yaml"]


def test_a_file_that_was_changed_just_now_is_read_again(tmp_path: Path) -> None:
    file = put(tmp_path / "a.yaml", "name: a\ncpu: 1\n", at=LONG_AGO)
    folder = Folder(tmp_path, clock=lambda: LONG_AGO + 1.0)
    assert folder.scan().services["default", "a", "production"].cpu == 1.0
    with file.open("r+") as opened:
        opened.write("name: a\ncpu: 2\n")
    os.utime(file, (LONG_AGO, LONG_AGO))
    assert folder.scan().services["default", "a", "production"].cpu == 2.0
