"""Folders and files of this machine, by their addresses."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.control.sources import FolderSource, SourcePolicy, fetch_source
from shoal.control.sources.folders import fetch_folder
from shoal.control.sources.staging import Staging
from shoal.core.errors import ConfigError, InvalidInput, NotFound, PermissionDenied, ShoalError, TooLarge, Unavailable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "iris"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("hidden")
    (folder / "__pycache__").mkdir()
    (folder / "model.onnx").write_bytes(b"weights" * 300_000)
    (folder / "deep" / "er" / "tokens.txt").write_text("a b c")
    (folder / "empty").touch()
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "root"


def names(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_a_folder_comes_with_all_its_visible_files(root: Path, tmp_path: Path) -> None:
    fetched = fetch_source(f"file://{root}/iris/", tmp_path / "new" / "in", allow=SourcePolicy(roots=(str(root),)))
    assert names(fetched.folder) == ["deep/er/tokens.txt", "empty", "model.onnx"]
    assert (fetched.folder / "model.onnx").read_bytes() == (root / "iris" / "model.onnx").read_bytes()
    assert (fetched.source, fetched.model) == (f"{root}/iris", "iris")


def test_a_file_comes_alone_and_a_root_is_a_folder_too(root: Path, tmp_path: Path) -> None:
    policy = SourcePolicy(roots=(str(root),))
    fetched = fetch_source(f"{root}/iris/model.onnx", tmp_path / "one", allow=policy)
    assert names(fetched.folder) == ["model.onnx"]
    assert fetched.model == "model"
    whole = fetch_source(str(root), tmp_path / "all", allow=policy)
    assert names(whole.folder) == ["iris/deep/er/tokens.txt", "iris/empty", "iris/model.onnx"]


def test_where_anything_is_allowed_links_on_the_way_are_the_users_own(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    fetched = fetch_source(f"{tmp_path}/link/iris", tmp_path / "in", allow=SourcePolicy(roots=None))
    assert "model.onnx" in names(fetched.folder)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


TRAPS: list[tuple[str, Callable[[Path], object], type[ShoalError]]] = [
    ("link to a file outside", lambda f: (f / "x").symlink_to("../../secret"), InvalidInput),
    ("absolute link", lambda f: (f / "x").symlink_to("/etc/passwd"), InvalidInput),
    ("link to a folder outside", lambda f: (f / "x").symlink_to("../.."), InvalidInput),
    ("link to itself", lambda f: (f / "x").symlink_to("x"), InvalidInput),
    ("link to nothing", lambda f: (f / "x").symlink_to("nothing"), InvalidInput),
    ("link inside", lambda f: (f / "x").symlink_to("model.onnx"), InvalidInput),
    ("link deep down", lambda f: (f / "deep/er/x").symlink_to("/etc"), InvalidInput),
    ("pipe", lambda f: os.mkfifo(f / "x"), InvalidInput),
    ("socket", lambda f: _socket(f / "x"), InvalidInput),
    ("name with a line break", lambda f: (f / "a\nb").touch(), InvalidInput),
    ("name with a backslash", lambda f: (f / "a\\b").touch(), InvalidInput),
    ("name that is no text", lambda f: Path(os.fsdecode(os.fsencode(f) + b"/\xff")).touch(), InvalidInput),
    ("names that differ by case", lambda f: (f / "MODEL.onnx").touch(), InvalidInput),
    ("large sparse file", lambda f: os.truncate(f / "empty", 1 << 40), TooLarge),
    ("many files", lambda f: [(f / f"f{index}").touch() for index in range(200)], TooLarge),
    ("many folders", lambda f: [(f / f"f{index}").mkdir() for index in range(200)], TooLarge),
    ("many hidden files", lambda f: [(f / f".f{index}").touch() for index in range(200)], TooLarge),
]


@pytest.mark.parametrize(("trap", "kind"), [each[1:] for each in TRAPS], ids=[each[0] for each in TRAPS])
def test_traps_are_refused_and_nothing_is_left(
    root: Path, tmp_path: Path, trap: Callable[[Path], object], kind: type[ShoalError]
) -> None:
    trap(root / "iris")
    policy = SourcePolicy(roots=(str(root),), max_entries=100, max_bytes=1 << 30)
    with pytest.raises(kind) as caught:
        fetch_source(f"{root}/iris", tmp_path / "in", allow=policy)
    assert caught.value.hint
    assert not (tmp_path / "in").exists()


def test_a_link_on_the_way_below_a_root_is_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to(tmp_path)
    (root / "direct").symlink_to(tmp_path / "secret")
    for path in ("out/secret", "out", "direct"):
        with pytest.raises((InvalidInput, NotFound)):
            fetch_source(f"{root}/{path}", tmp_path / "in", allow=SourcePolicy(roots=(str(root),)))
        assert not (tmp_path / "in").exists()


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def swap_then_open(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "deep":
            (root / "iris" / "deep").rename(root / "iris" / "was")
            (root / "iris" / "deep").symlink_to(tmp_path)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_then_open)
    with pytest.raises(InvalidInput, match="is a link"):
        fetch_source(f"{root}/iris", tmp_path / "in", allow=SourcePolicy(roots=(str(root),)))


def test_every_descriptor_is_closed(root: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for index, path in enumerate(("iris", "iris/model.onnx", "absent", "iris/empty/below")):
        try:
            fetch_source(f"{root}/{path}", tmp_path / f"in{index}", allow=SourcePolicy(roots=(str(root),)))
        except NotFound:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("path", "kind", "told"),
    [
        ("absent", NotFound, "does not exist"),
        ("iris/empty/x", NotFound, "does not exist"),
        (".git", NotFound, "does not exist"),
    ],
)
def test_what_is_not_there(root: Path, tmp_path: Path, path: str, kind: type[ShoalError], told: str) -> None:
    with pytest.raises(kind, match=told):
        fetch_source(f"{root}/{path}", tmp_path / "in", allow=SourcePolicy(roots=(str(root),)))
    assert not (tmp_path / "in").exists()


def test_a_folder_without_files_is_nothing(root: Path, tmp_path: Path) -> None:
    (root / "bare" / "deep").mkdir(parents=True)
    with pytest.raises(NotFound, match="there are no files"):
        fetch_source(f"{root}/bare", tmp_path / "in", allow=SourcePolicy(roots=(str(root),)))


def test_what_is_not_allowed_is_not_opened(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise AssertionError("it was opened")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionDenied):
        fetch_source(f"{tmp_path}/secret", tmp_path / "in", allow=SourcePolicy(roots=(str(root),)))
    assert not (tmp_path / "in").exists()


def test_a_staging_folder_that_is_there_is_left_alone(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the staging folder"):
        fetch_source(f"{root}/iris", root, allow=SourcePolicy(roots=None))
    assert (root / "iris" / "model.onnx").exists()


def test_mlflow_needs_a_server(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no MLflow server") as caught:
        fetch_source("mlflow://iris/1", tmp_path / "in", allow=SourcePolicy())
    assert "MLFLOW_TRACKING_URI" in caught.value.hint


def test_a_file_that_may_not_be_read(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied", "model.onnx")

    monkeypatch.setattr(os, "open", refuse)
    policy = SourcePolicy(roots=None)
    with pytest.raises(PermissionDenied, match="may not be read"):
        fetch_folder(FolderSource(f"{root}/iris"), policy, Staging(tmp_path, policy, lambda: 0.0))
