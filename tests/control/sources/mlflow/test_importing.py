"""Versions from an MLflow registry: a server that behaves, and one that does not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.control.sources import Fetched, SourcePolicy, Tracking, fetch_source
from shoal.core.errors import (
    ConfigError,
    CorruptArtifact,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ShoalError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from support.mlflow_fake import ARTIFACTS, ROOT, FakeMlflow, running

VERSION = "/api/2.0/mlflow/model-versions/get"


@pytest.fixture
def fake() -> FakeMlflow:
    return FakeMlflow()


@pytest.fixture
def url(fake: FakeMlflow) -> Iterator[str]:
    with running(fake) as found:
        yield found


def fetch(url: str, folder: Path, address: str = "mlflow://iris/3", **bounds: Any) -> Fetched:
    tracking = Tracking(url=url, pause=0.0, timeout=5.0)
    return fetch_source(address, folder / "in", allow=SourcePolicy(**bounds), tracking=tracking)


def names(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_a_version_comes_with_its_files_and_lineage(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    fake.version |= {"description": "the first", "tags": [{"key": "team", "value": "a"}], "aliases": ["champion"]}
    fetched = fetch(url, tmp_path)
    assert names(fetched.folder) == ["MLmodel", "data/model.skops"]
    assert (fetched.folder / "data/model.skops").read_bytes() == b"weights"
    assert (fetched.model, fetched.description, fetched.tags) == ("iris", "the first", {"team": "a"})
    assert (fetched.aliases, fetched.source) == (("champion",), "mlflow://iris/3")
    assert fetched.lineage.hyperparameters == {"C": 2}


def test_a_version_by_its_alias(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    assert names(fetch(url, tmp_path, "mlflow://iris@champion").folder) == ["MLmodel", "data/model.skops"]
    assert any("registered-models/alias?name=iris&alias=champion" in path for path, _ in fake.seen)


def test_lists_are_read_page_by_page(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    entries = [{"path": name, "is_dir": False, "file_size": 1} for name in "abc"]
    fake.files = dict.fromkeys("abc", b"1")
    fake.lists[""] = lambda query: {
        "files": [entries[int(query.get("page_token", "0"))]],
        "next_page_token": {"0": "1", "1": "2"}.get(query.get("page_token", "0"), ""),
    }
    assert names(fetch(url, tmp_path).folder) == ["a", "b", "c"]


def test_a_run_that_is_gone_leaves_lineage_empty(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    fake.run = None
    assert fetch(url, tmp_path).lineage.hyperparameters == {}


def test_a_server_below_a_path_and_its_credentials(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        fetch(f"{url}/ml/", tmp_path)
    assert fake.seen[0][0].startswith("/ml/api/2.0/")
    for tracking, expected in (
        (Tracking(url=url, token="t0ken"), "Bearer t0ken"),
        (Tracking(url=url, username="ann", password="word"), "Basic YW5uOndvcmQ="),
    ):
        fake.seen.clear()
        fetch_source("mlflow://iris/3", tmp_path / expected[:5], allow=SourcePolicy(), tracking=tracking)
        assert {headers["Authorization"] for _, headers in fake.seen} == {expected}
        assert "t0ken" not in repr(tracking)
        assert "word'" not in repr(tracking)


def test_files_of_this_machine_are_fetched_below_an_allowed_root_only(
    fake: FakeMlflow, url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "1"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("x")
    for uri in (f"file://{folder}", str(folder)):
        fake.uri = uri
        with pytest.raises(PermissionDenied):
            fetch(url, tmp_path)
        fetched = fetch(url, tmp_path, roots=(str(tmp_path / "store"),))
        assert names(fetched.folder) == ["MLmodel"]
        (fetched.folder / "MLmodel").unlink()
        fetched.folder.rmdir()


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("", InvalidInput),
        ("file:///etc/passwd", PermissionDenied),
        ("/etc/passwd", PermissionDenied),
        ("file:/etc", PermissionDenied),
        ("file:///etc/%2e%2e/passwd", InvalidInput),
        ("file:///models/../../etc/passwd", InvalidInput),
        ("file:../../etc", InvalidInput),
        ("file://evil/share", InvalidInput),
        ("../../etc", InvalidInput),
        ("models/m", InvalidInput),
        ("s3://secret/models", PermissionDenied),
        ("s3://127.0.0.1/x", InvalidInput),
        ("http://169.254.169.254/latest", Unsupported),
        ("https://evil.example/m", Unsupported),
        ("runs:/1/model", Unsupported),
        ("models:/m-1", Unsupported),
        ("mlflow://iris/4", Unsupported),
        ("dbfs:/x", Unsupported),
        ("mlflow-artifacts:/..", InvalidInput),
        ("mlflow-artifacts:/../../etc", InvalidInput),
        ("mlflow-artifacts:/1/%2e%2e/x", InvalidInput),
        ("mlflow-artifacts:/1/%252e%252e/x", InvalidInput),
        ("mlflow-artifacts:/1//x", InvalidInput),
        ("mlflow-artifacts:/1/x?path=..", InvalidInput),
        ("mlflow-artifacts:/1/x#y", InvalidInput),
        ("mlflow-artifacts:/1\\..\\x", InvalidInput),
        ("mlflow-artifacts:/1/x\r\nHost: evil", InvalidInput),
        ("mlflow-artifacts:/", InvalidInput),
        ("mlflow-artifacts://evil:5000/1/x", InvalidInput),
        ("mlflow-artifacts://user@evil/1/x", InvalidInput),
        ("mlflow-artifacts:////etc", InvalidInput),
        ("mlflow-artifacts:1/x", Unsupported),
        ("MLFLOW-ARTIFACTS:/1/x", Unsupported),
    ],
)
def test_files_elsewhere_are_refused_unasked(
    fake: FakeMlflow, url: str, tmp_path: Path, uri: str, kind: type[ShoalError]
) -> None:
    fake.uri = uri
    with pytest.raises(kind) as caught:
        fetch(url, tmp_path, roots=("/models",), buckets=("s3://models",))
    assert caught.value.hint
    assert str(caught.value).isprintable()
    assert len(fake.seen) == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "../up",
        "..",
        ".",
        "/abs",
        "a/b",
        "",
        "a\\b",
        "a\0",
        "a\n",
        "C:x",
        "%2e%2e",
        "..%2fx",
        "x" * 300,
        "MLMODEL",
        "\u202egnp",
    ],
)
@pytest.mark.parametrize("is_dir", [False, True])
def test_names_that_are_not_plain_are_refused(
    fake: FakeMlflow, url: str, tmp_path: Path, name: str, is_dir: bool
) -> None:
    if is_dir and name == "MLMODEL":
        fake.lists["MLMODEL"] = {"files": [{"path": "x", "file_size": 0}]}
    first = {"path": "MLmodel", "file_size": 11}
    fake.lists[""] = {"files": [first, {"path": name, "is_dir": is_dir, "file_size": 1}]}
    with pytest.raises(InvalidInput):
        fetch(url, tmp_path)
    assert not any(".." in path for path, _ in fake.seen)
    assert os.listdir(tmp_path) == []


LISTS: list[tuple[str, Any, type[ShoalError]]] = [
    ("a folder in itself without an end", lambda query: {"files": [{"path": "d", "is_dir": True}]}, InvalidInput),
    ("pages without an end", {"files": [{"path": "a", "file_size": 0}], "next_page_token": "x"}, Unavailable),
    ("negative size", {"files": [{"path": "a", "file_size": -1}]}, InvalidInput),
    ("enormous size", {"files": [{"path": "a", "file_size": 1 << 60}]}, TooLarge),
    ("size as text", {"files": [{"path": "a", "file_size": "many"}]}, Unavailable),
    ("too many", {"files": [{"path": f"f{index}", "file_size": 0} for index in range(500)]}, TooLarge),
    ("twice", {"files": [{"path": "MLmodel", "file_size": 11}] * 2}, InvalidInput),
    ("wrong size", {"files": [{"path": "MLmodel", "file_size": 5}]}, CorruptArtifact),
    ("file that is gone", {"files": [{"path": "gone", "file_size": 5}]}, NotFound),
    ("nothing", {"files": []}, NotFound),
    ("no list", {"files": 7}, Unavailable),
]


@pytest.mark.parametrize(("listed", "kind"), [each[1:] for each in LISTS], ids=[each[0] for each in LISTS])
def test_lists_that_are_wrong(fake: FakeMlflow, url: str, tmp_path: Path, listed: Any, kind: type[ShoalError]) -> None:
    fake.lists[""] = listed
    if callable(listed):
        fake.lists |= {"/".join(["d"] * depth): listed for depth in range(1, 1000)}
    with pytest.raises(kind):
        fetch(url, tmp_path, max_entries=400 if kind is TooLarge else 10_000)
    assert os.listdir(tmp_path) == []


def test_pages_with_ever_new_tokens_end_at_the_budget(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    fake.lists[""] = lambda query: {"next_page_token": query.get("page_token", "") + "x"}
    with pytest.raises(TooLarge):
        fetch(url, tmp_path, max_entries=30)


ANSWERS: list[tuple[str, tuple[int, dict[str, str], bytes], type[ShoalError], int]] = [
    ("not found", (404, {}, b'{"message": "no model iris"}'), NotFound, 1),
    ("not found, without words", (404, {}, b"<html>"), NotFound, 1),
    ("bad request", (400, {}, b'{"message": "Invalid"}'), InvalidInput, 1),
    ("who are you", (401, {}, b""), Unauthenticated, 1),
    ("forbidden", (403, {}, b""), PermissionDenied, 1),
    ("elsewhere", (302, {"Location": "http://169.254.169.254/"}, b""), ConfigError, 1),
    ("unknown status", (299, {}, b"{}"), InvalidInput, 1),
    ("busy", (503, {}, b""), Unavailable, 3),
    ("too many requests", (429, {}, b""), Unavailable, 3),
    ("no JSON", (200, {}, b"<html>"), Unavailable, 1),
    ("no UTF-8", (200, {}, b'{"model_version": {"name": "\xff"}}'), Unavailable, 1),
    ("deep JSON", (200, {}, b"[" * 100_000), Unavailable, 1),
    ("other JSON", (200, {}, b"[]"), Unavailable, 1),
    ("null", (200, {}, b"null"), Unavailable, 1),
    ("cut off", (200, {"Content-Length": "100", "Connection": "close"}, b"{}"), Unavailable, 1),
    ("long", (200, {}, b" " * (16 * 1024 * 1024 + 1)), Unavailable, 1),
    ("length that is none", (200, {"Content-Length": "-5"}, b""), Unavailable, 1),
]


@pytest.mark.parametrize(("answer", "kind", "tries"), [each[1:] for each in ANSWERS], ids=[each[0] for each in ANSWERS])
def test_answers_that_are_none(
    fake: FakeMlflow, url: str, tmp_path: Path, answer: Any, kind: type[ShoalError], tries: int
) -> None:
    fake.answers[VERSION] = [answer]
    with pytest.raises(kind) as caught:
        fetch(url, tmp_path)
    assert caught.value.hint
    assert len(fake.seen) == tries
    assert os.listdir(tmp_path) == []


def test_a_busy_server_is_asked_again(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    body = b'{"model_version": {"name": "iris", "version": "3"}}'
    fake.answers[VERSION] = [(503, {}, b""), (503, {}, b""), (200, {}, body)]
    assert names(fetch(url, tmp_path).folder) == ["MLmodel", "data/model.skops"]


def test_a_file_that_is_cut_off(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    fake.answers[f"{ARTIFACTS}/{ROOT}/MLmodel"] = [(200, {"Content-Length": "11", "Connection": "close"}, b"flav")]
    with pytest.raises((CorruptArtifact, Unavailable)):
        fetch(url, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_server_that_drips_is_left_when_the_time_is_up(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    ticks = itertools.count()
    for path in (VERSION, f"{ARTIFACTS}/{ROOT}/MLmodel"):
        fake.answers = {path: [(200, {}, b" " * 11)]}
        with pytest.raises(DeadlineExceeded, match="within 1 seconds"):
            fetch_source(
                "mlflow://iris/3",
                tmp_path / "in",
                allow=SourcePolicy(seconds=1),
                tracking=Tracking(url=url),
                clock=lambda: float(next(ticks)),
            )


def test_a_version_that_is_not_ready(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    fake.version["status"] = "FAILED_REGISTRATION"
    with pytest.raises(Unavailable, match="FAILED_REGISTRATION"):
        fetch(url, tmp_path)


def test_what_the_server_says_is_shown_escaped(fake: FakeMlflow, url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no such thing\\x1b\[2J"):
        fetch(url, tmp_path, "mlflow://nope/1")


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        fetch("http://127.0.0.1:9", tmp_path)
