"""`shoal push | pull | models | stage | rollback | delete | gc | namespaces` against a control."""

from __future__ import annotations

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.cli.packing import _name_of
from shoal.client.control import ControlClient
from support.controls import shoal as process

Give = Callable[..., Any]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "iris.onnx"
    path.write_bytes(b"r1")
    return path


def test_a_file_is_pushed_once_and_only_what_is_new_is_sent(shoal: Give, told: Give, model: Path) -> None:
    assert "iris:1, onnx, 2 B (2 B sent)" in shoal("push", model)
    assert "(0 B sent)" in shoal("push", model, "--alias", "0.1.0", "--stage", "staging")
    version = told("models", "iris:staging")
    assert (version["version"], version["alias"], version["runtime"]) == (2, "0.1.0", "onnx")


def test_all_that_is_said_of_a_version_is_kept(told: Give, model: Path) -> None:
    said = ("--name", "default/other", "--version", 7, "--tag", "task=demo", "--description", "first", "--owner", "ann")
    lineage = (
        "--dataset",
        "d",
        "--dataset-hash",
        "h",
        "--method",
        "m",
        "--param",
        "C=0.5",
        "--metric",
        "f1=0.9",
        "--code-ref",
        "abc",
    )
    pushed = told("push", model, *said, *lineage)
    assert (pushed["model"], pushed["version"], pushed["tags"]) == ("other", 7, {"task": "demo"})
    assert pushed["lineage"] == {
        "dataset": "d",
        "dataset_hash": "h",
        "method": "m",
        "hyperparameters": {"C": 0.5},
        "metrics": {"f1": 0.9},
        "code": "abc",
    }
    assert told("models", "other")["model"]["owner"] == "ann"


def test_folders_and_archives_are_named_by_their_own_names(told: Give, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"r1")
    (folder / ".hidden").write_text("x")
    archive = tmp_path / "packed.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        entry = tarfile.TarInfo("top/model.onnx")
        entry.size = 2
        tar.addfile(entry, io.BytesIO(b"r1"))
    assert told("push", folder)["model"] == "net"
    assert told("push", archive)["model"] == "packed"
    first, second = (told("models", name)["versions"][0]["digest"] for name in ("net", "packed"))
    assert first == second


@pytest.mark.parametrize(
    ("name", "expected"), [("a.tar.gz", "a"), ("a.b.onnx", "a.b"), ("a.tar.xz", "a"), ("a.zip", "a")]
)
def test_names(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_text("")
    assert _name_of(tmp_path / name) == expected


def test_a_version_comes_back_as_it_was(shoal: Give, tmp_path: Path, model: Path) -> None:
    shoal("push", model)
    assert "iris:1 is in" in shoal("pull", "iris", tmp_path / "back")
    assert (tmp_path / "back/iris.onnx").read_bytes() == b"r1"
    assert "is there already" in shoal("pull", "iris", tmp_path / "back", code=1)
    assert "no version" in shoal("pull", "iris:9", tmp_path / "other", code=1)
    assert not (tmp_path / "other").exists()


def test_an_address_of_a_folder_is_pushed_too(told: Give, model: Path) -> None:
    assert told("push", "--from", str(model), "--name", "copy")["runtime"] == "onnx"


def test_stages_move_and_go_back(shoal: Give, told: Give, tmp_path: Path) -> None:
    for content in ("r1", "r2"):
        (tmp_path / "iris.onnx").write_text(content)
        shoal("push", tmp_path / "iris.onnx")
    assert shoal("stage", "iris", "production", 1) == "iris: production is version 1\n"
    assert (
        shoal("stage", "iris", "production", "latest", "--comment", "go")
        == "iris: production is version 2 (it was 1)\n"
    )
    assert "not at 1" in shoal("stage", "iris", "production", 1, "--expected", 1, code=1)
    assert shoal("rollback", "iris", "production") == "iris: production is version 1 (it was 2)\n"
    shown = shoal("models", "iris")
    assert "rolled back from 2" in shown
    assert "go" in shown
    assert shoal("stage", "iris", "production", "--remove") == "iris: production is removed (it was 1)\n"
    assert "say to which version" in shoal("stage", "iris", "production", code=2)
    assert [move["version"] for move in told("models", "iris")["history"]] == [0, 1, 2, 1]


def test_models_are_listed_and_searched(shoal: Give, told: Give, model: Path) -> None:
    assert "no models yet" in shoal("models")
    shoal("push", model, "--name", "churn", "--owner", "ann")
    shoal("push", model, "--name", "fraud")
    assert [each["name"] for each in told("models", "--search", "chu")["models"]] == ["churn"]
    assert "fraud" in shoal("models")
    assert "no model" in shoal("models", "none", code=1)


def test_deleting_and_collecting(shoal: Give, told: Give, model: Path) -> None:
    shoal("push", model, "--stage", "staging")
    assert "in use by the stage" in shoal("delete", "iris:1", code=1)
    assert "say which version" in shoal("delete", "iris", code=2)
    shoal("stage", "iris", "staging", "--remove")
    shoal("delete", "iris:1")
    shoal("delete", "iris", "--all")
    assert told("gc", "--dry-run", "--grace-hours", 0)["dry_run"] is True
    collected = told("gc", "--keep-days", 0, "--grace-hours", 0)
    assert (collected["versions"], collected["blobs"]) == (1, 1)
    assert "removed 0 files" in shoal("gc", "--grace-hours", 0)


def test_namespaces_and_their_policies(shoal: Give, told: Give, model: Path, tmp_path: Path) -> None:
    made = told("namespaces", "team-a", "--owner", "ann", "--require", "dataset", "--no-code")["namespaces"][0]
    assert (made["owner"], made["policy"]["required_lineage"], made["policy"]["allow_code"]) == (
        "ann",
        ["dataset"],
        False,
    )
    assert made["policy"]["allow_network"] is True
    sealed = told("namespaces", "team-b", "--no-network")["namespaces"][0]["policy"]
    assert (sealed["allow_network"], sealed["allow_code"]) == (False, True)
    assert "dataset" in shoal("push", model, "-n", "team-a", code=1)
    shoal("push", model, "-n", "team-a", "--dataset", "d")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({}))
    assert "no formats that carry code" in shoal("push", tmp_path / "m.pkl", "-n", "team-a", "--dataset", "d", code=1)
    assert "team-a" in shoal("namespaces")


def test_signed_stages(shoal: Give, told: Give, model: Path, tmp_path: Path) -> None:
    from shoal.control.signing import new_key

    (tmp_path / "public.pem").write_text(new_key(tmp_path / "private.pem"))
    shoal("namespaces", "default", "--signed", "production", "--key", tmp_path / "public.pem")
    assert "there is no signature" in shoal("push", model, "--stage", "production", code=1)
    assert told("push", model, "--sign", tmp_path / "private.pem", "--stage", "production")["stages"] == ["production"]


def test_files_that_are_no_model(shoal: Give, told: Give, tmp_path: Path) -> None:
    (tmp_path / "vocabulary.md").write_text("words")
    shoal("push", tmp_path / "vocabulary.md", code=1)
    assert told("push", tmp_path / "vocabulary.md", "--files")["runtime"] == "files"


def test_wrong_usage_says_what_to_do(shoal: Give, tmp_path: Path, model: Path) -> None:
    assert "say what to push" in shoal("push", code=2)
    assert "say what to push" in shoal("push", model, "--from", "s3://a/b", code=2)
    assert "no file or folder" in shoal("push", tmp_path / "none", code=1)
    assert "no key=value" in shoal("push", model, "--tag", "x", code=2)
    assert "does not answer" in shoal("models", "--control", "http://127.0.0.1:9", code=2)


@pytest.mark.process
def test_a_laptop_needs_no_control_of_its_own(tmp_path: Path, model: Path) -> None:
    home = tmp_path / "laptop"
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({}))
    assert "--trust" in process("push", str(tmp_path / "m.pkl"), home=home, expected=[1])
    assert process("push", str(tmp_path / "m.pkl"), "--trust", home=home).startswith("m:1, sklearn")
    assert "m" in process("models", home=home)
    assert not (home / "control.json").exists()


def test_an_announcement_of_a_control_that_is_gone_is_passed_over(
    control: ControlClient, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, shoal: Give
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/control.json").write_text('{"url": "http://127.0.0.1:9", "pid": 1}')
    assert "iris:1" in shoal("push", model, "--home", tmp_path / "other")
    assert control.ready().models == 0
