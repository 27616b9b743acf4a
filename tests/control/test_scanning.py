"""Which models a folder holds, what is wrong with the others, and that nothing leads out or runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from shoal.control.folder import Scan, scan

ONNX = b"\x08\x07"
LGB = "tree\nversion=v4\n"
ECHO = "class Echo:\n    def predict_all(self, inputs):\n        return inputs\n"


def put(path: Path, content: str | bytes = ONNX) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def names(found: Scan) -> list[str]:
    return [f"{spec.name}:{spec.version}:{spec.runtime}" for spec in found.specs]


def only_error(found: Scan) -> str:
    assert len(found.problems) == 1, found.problems
    return str(found.problems[0].error)


def test_files_and_folders_are_models(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "b" / "weights.onnx")
    put(tmp_path / "c" / "model.yaml", "description: text\nlimits: {workers: 2}\n")
    put(tmp_path / "c" / "trees.txt", LGB)
    put(tmp_path / "d.txt", LGB)
    put(tmp_path / "e" / "saved_model.pb")
    put(tmp_path / "f" / "config.json", "{}")
    put(tmp_path / "f" / "model.safetensors")
    found = scan([tmp_path])
    assert names(found) == ["a::onnx", "b::onnx", "c::lightgbm", "d::lightgbm", "e::tensorflow", "f::transformers"]
    assert found.specs[2].limits.workers == 2
    assert not found.problems
    assert all(os.path.isabs(spec.path) for spec in found.specs)


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("README.md", ".hidden.onnx", "notes.txt", "data.csv", "schema.json", "__init__.py", "conftest.py"):
        put(tmp_path / name, "text")
    put(tmp_path / "__pycache__" / "x.pkl")
    put(tmp_path / ".git" / "x.onnx")
    put(tmp_path / "a.onnx")
    assert names(scan([tmp_path])) == ["a::onnx"]
    assert not scan([tmp_path]).problems


def test_versions_are_numbered_folders(tmp_path: Path) -> None:
    for version in ("1", "2", "10"):
        put(tmp_path / "cars" / version / "m.onnx")
    put(tmp_path / "cars" / "model.yaml", "description: shared\n")
    put(tmp_path / "cars" / "2" / "model.yaml", "description: own\n")
    found = scan([tmp_path])
    assert names(found) == ["cars:1:onnx", "cars:2:onnx", "cars:10:onnx"]
    assert [spec.description for spec in found.specs] == ["shared", "own", "shared"]


@pytest.mark.parametrize("what", ["file", "folder", "settings", "versions"])
def test_one_model_can_be_given_directly(tmp_path: Path, what: str) -> None:
    put(tmp_path / "m" / "1" / "x.onnx") if what == "versions" else put(tmp_path / "m" / "x.onnx")
    if what in ("folder", "settings"):
        put(tmp_path / "m" / "model.yaml", "runtime: onnx\n")
    given = {"file": "m/x.onnx", "folder": "m", "settings": "m/model.yaml", "versions": "m"}[what]
    expected = {"file": "x::onnx", "folder": "m::onnx", "settings": "m::onnx", "versions": "m:1:onnx"}[what]
    assert names(scan([tmp_path / given])) == [expected]


def test_wrong_model_leaves_the_others(tmp_path: Path) -> None:
    put(tmp_path / "good.onnx")
    put(tmp_path / "bad" / "model.yaml", "limits:\n  workers: none\n")
    put(tmp_path / "bad" / "x.onnx")
    put(tmp_path / "empty" / "notes.md", "text")
    put(tmp_path / "two" / "a.onnx")
    put(tmp_path / "two" / "b.txt", LGB)
    found = scan([tmp_path, tmp_path / "nowhere"])
    assert names(found) == ["good::onnx"]
    said = {problem.name: str(problem.error) for problem in found.problems}
    assert said["bad"].startswith("model.yaml:2: limits.workers: must be a valid integer")
    assert "holds no model: there is notes.md" in said["empty"]
    assert "a.onnx (onnx), b.txt (lightgbm)" in said["two"]
    assert "does not exist" in said["nowhere"]


@pytest.mark.parametrize("name", ["-x", "a b", "é", "x" * 129, "_x"])
def test_names_are_checked(tmp_path: Path, name: str) -> None:
    put(tmp_path / name / "m.onnx")
    assert "must be 1 to 128 letters" in only_error(scan([tmp_path]))


def test_two_of_one_name_are_told(tmp_path: Path) -> None:
    put(tmp_path / "a.onnx")
    put(tmp_path / "a" / "m.onnx")
    found = scan([tmp_path])
    assert len(found.specs) == 1
    assert "two models of this name" in only_error(found)


@pytest.mark.parametrize("inside", [False, True])
def test_links_may_not_lead_out(tmp_path: Path, inside: bool) -> None:
    secret = put(tmp_path / "outside" / "m.onnx")
    root = tmp_path / "root"
    put(root / "good.onnx")
    link = root / "m" / "x.onnx" if inside else root / "m.onnx"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(secret)
    found = scan([root])
    assert names(found) == ["good::onnx"]
    assert "leads out" in only_error(found)


def test_linked_folder_may_not_lead_out_but_inner_links_may_stay(tmp_path: Path) -> None:
    put(tmp_path / "outside" / "1" / "m.onnx")
    root = tmp_path / "root"
    put(root / "a" / "m.onnx")
    (root / "b").symlink_to(tmp_path / "outside")
    (root / "c").symlink_to(root / "a")
    found = scan([root])
    assert names(found) == ["a::onnx", "c::onnx"]
    assert "leads out" in only_error(found)


class _Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (str(self.path), "w"))


def test_code_is_refused_without_trust_and_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    root = tmp_path / "root"
    put(root / "a.pkl", pickle.dumps(_Canary(canary)))
    put(root / "b.joblib", pickle.dumps(_Canary(canary)))
    put(root / "c" / "model.py", f"open({str(canary)!r}, 'w')\n{ECHO}")
    put(root / "d.pt", pickle.dumps(_Canary(canary)))
    put(root / "e" / "MLmodel", "flavors: {}\n")
    put(root / "f" / "model.py", ECHO)
    put(root / "f" / "model.yaml", "trust: code\n")
    found = scan([root])
    assert names(found) == ["f::python"]
    assert [problem.name for problem in found.problems] == ["a", "b", "c", "d", "e"]
    for problem in found.problems:
        assert "not trusted" in str(problem.error)
        assert "trust: code" in problem.error.hint
    trusted = scan([root], trust=True)
    assert [spec.trust for spec in trusted.specs] == ["code"] * 6
    assert not canary.exists()


def test_settings_of_another_server_are_read(tmp_path: Path) -> None:
    put(tmp_path / "m" / "model-settings.json", '{"name": "cars", "implementation": "mlserver_lightgbm.LightGBMModel"}')
    put(tmp_path / "m" / "x.txt", LGB)
    assert names(scan([tmp_path])) == ["cars::lightgbm"]
