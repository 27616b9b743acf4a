from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.model import ModelSpec
from shoal.serving.pool.confining.needs import files_of, needs_of, project_code


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in (
        "iris.joblib",
        "net.onnx",
        "net.onnx.data",
        "net.onnx_data",
        "network.onnx",
        "own/model.py",
        "a/model.yaml",
    ):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "models/a/parts/deep").mkdir(parents=True)
    return tmp_path / "models"


def names(models: Path, path: str, **settings: bool) -> set[str]:
    return {str(Path(each).relative_to(models)) for each in files_of(models / path, **settings)}


def test_a_file_and_what_is_called_like_it(models: Path) -> None:
    assert names(models, "iris.joblib") == {"iris.joblib"}
    assert names(models, "net.onnx") == {"net.onnx", "net.onnx.data", "net.onnx_data"}


def test_a_folder_as_a_whole(models: Path) -> None:
    assert names(models, "own") == {"own"}
    assert names(models, "a/parts/deep") == {"a"}
    assert names(models, "a/parts/w.onnx") == {"a"}


def test_a_registered_file_has_its_folder_to_itself(models: Path) -> None:
    assert names(models, "own/model.py", registered=True) == {"own"}


def test_a_file_that_is_not_there_is_named_all_the_same(tmp_path: Path) -> None:
    assert files_of(tmp_path / "no" / "model.onnx") == [str(tmp_path / "no" / "model.onnx")]


def test_of_the_folder_the_node_was_started_in_only_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("features.py", "package/__init__.py", "data/secret.csv", ".env", "package/part.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = {Path(each).name for each in project_code(tmp_path)}
    assert found == {"features.py", "package"}
    monkeypatch.chdir(tmp_path)
    spec = ModelSpec(name="m", path=str(tmp_path / "data"), runtime="python")
    assert {Path(each).name for each in needs_of(spec).readable} == {"features.py", "package", "data"}
    registered = ModelSpec(name="m", path=str(tmp_path / "data"), runtime="python", digest="d")
    assert {Path(each).name for each in needs_of(registered).readable} == {"data"}


def test_what_a_model_says(models: Path) -> None:
    spec = ModelSpec(name="m", path=str(models / "own"), runtime="python", network=True)
    assert needs_of(spec).network
    further = ModelSpec(name="m", path=str(models / "own"), runtime="python", environment={"SHOAL_ARTIFACTS": "/more"})
    assert "/more" in needs_of(further).readable
