"""What files are: of control's own files nobody is believed, and what is no model is refused unless that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.control.artifacts.intake.recognising import Nature, judge
from shoal.core.errors import InvalidInput
from support.hostile_archives import ONNX


def test_what_is_no_model_is_refused_unless_it_need_not_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"nothing\n")
    with pytest.raises(InvalidInput) as caught:
        judge(tmp_path, ["notes.txt"])
    assert str(tmp_path) not in str(caught.value)
    assert judge(tmp_path, ["notes.txt"], model=False) == Nature("", "")


def test_a_model_file_decides_and_its_mistakes_are_told_without_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(ONNX)
    assert judge(tmp_path, ["a.onnx"]) == Nature("onnx", "")
    (tmp_path / "model.yaml").write_text("runtime: [\n")
    with pytest.raises(InvalidInput) as caught:
        judge(tmp_path, ["a.onnx", "model.yaml"])
    assert (str(tmp_path) in str(caught.value), bool(caught.value.hint)) == (False, True)
    assert judge(tmp_path, ["a.onnx", "model.yaml"], model=False) == Nature("", "")


def test_each_file_is_what_its_name_says_whatever_the_others_are(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(ONNX)
    (tmp_path / "b.onnx").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InvalidInput, match=r"'b\.onnx'"):
        judge(tmp_path, ["a.onnx", "b.onnx"], model=False)


def test_what_a_model_file_asks_for_is_told_and_not_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(ONNX)
    assert judge(tmp_path, []).network is False
    (tmp_path / "model.yaml").write_text("runtime: onnx\nnetwork: true\n")
    assert judge(tmp_path, []) == Nature("onnx", "", network=True)
    (tmp_path / "model.py").write_text("class Model: ...\n")
    (tmp_path / "model.yaml").write_text("runtime: python\nimplementation: model:Model\n")
    told = judge(tmp_path, [])
    assert (told.runtime, bool(told.code), told.network) == ("python", True, False)
