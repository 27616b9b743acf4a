"""What makes two models the same, and what does not matter for that."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from shoal.core.errors import NotReady
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.serving.remote.marks import mark_of


def model(folder: Path, **files: str) -> ModelSpec:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", "/")).parent.mkdir(exist_ok=True)
        (folder / name.replace("__", "/")).write_text(text)
    return ModelSpec(name="m", path=str(folder), runtime="python")


def test_the_same_files_elsewhere_are_the_same_model(tmp_path: Path) -> None:
    one = model(tmp_path / "one", weights="1", sub__more="2")
    two = model(tmp_path / "two", weights="1", sub__more="2")
    assert mark_of(one) == mark_of(two)
    (tmp_path / "two/__pycache__").mkdir()
    (tmp_path / "two/__pycache__/m.pyc").write_text("x")
    (tmp_path / "two/model.yaml").write_text("batching: {max_size: 1}")
    (tmp_path / "two/.hidden").write_text("x")
    assert mark_of(one) == mark_of(two)


@pytest.mark.parametrize("change", ["weights", "sub/more", "new"])
def test_a_changed_or_added_file_is_another_model(tmp_path: Path, change: str) -> None:
    one = model(tmp_path / "one", weights="1", sub__more="2")
    before = mark_of(one)
    (tmp_path / "one" / change).write_text("3")
    assert mark_of(one) != before


def test_what_runs_counts_and_how_it_is_batched_does_not(tmp_path: Path) -> None:
    one = model(tmp_path / "one", weights="1")
    same = {
        "batching": Batching(max_size=7),
        "limits": Limits(workers=9),
        "environment": {"A": "b"},
        "description": "x",
    }
    assert mark_of(msgspec.structs.replace(one, **same)) == mark_of(one)
    for other in ({"runtime": "onnx"}, {"implementation": "m:A"}, {"parameters": {"a": 1}}, {"batchable": False}):
        assert mark_of(msgspec.structs.replace(one, **other)) != mark_of(one)


def test_registered_files_are_named_by_their_digest(tmp_path: Path) -> None:
    one = ModelSpec(name="m", path=str(tmp_path / "nowhere"), runtime="python", digest="d1")
    assert mark_of(one) == mark_of(msgspec.structs.replace(one, path="/elsewhere"))
    assert mark_of(one) != mark_of(msgspec.structs.replace(one, digest="d2"))


def test_files_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="cannot be read"):
        mark_of(ModelSpec(name="m", path=str(tmp_path / "nowhere"), runtime="python"))
