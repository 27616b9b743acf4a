"""ONNX graphs: names, datatypes, strings, maps of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from shoal.core.errors import ConfigError, InvalidInput
from shoal.serving.adapters.base import TypedAdapter
from shoal.serving.adapters.catalog import create_adapter
from support import saved_models as saved


def load(path: Path, **fields: Any) -> TypedAdapter:
    adapter = create_adapter(saved.spec(path, "onnx", **fields))
    adapter.load()
    assert isinstance(adapter, TypedAdapter)
    return adapter


def save_graph(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_matrix_of_classes_from_maps(tmp_path: Path) -> None:
    model = saved.save_onnx(tmp_path / "m.onnx")
    adapter = load(tmp_path / "m.onnx")
    answers = adapter.predict({"anything": saved.ROWS.astype(np.float32)})
    np.testing.assert_array_equal(answers["output_label"], model.predict(saved.ROWS))
    np.testing.assert_allclose(
        np.asarray(answers["output_probability"]), model.predict_proba(saved.ROWS), rtol=1e-3, atol=1e-5
    )
    signature = adapter.signature()
    assert [(each.name, each.datatype, each.shape) for each in signature.inputs] == [("X", "FP32", (-1, 4))]
    assert [each.datatype for each in signature.outputs] == ["INT64", "FP32"]


def test_outputs_are_chosen_by_parameter(tmp_path: Path) -> None:
    saved.save_onnx(tmp_path / "m.onnx")
    adapter = load(tmp_path / "m.onnx", parameters={"outputs": ["output_label"]})
    assert list(adapter.predict({"X": saved.ROWS.astype(np.float32)})) == ["output_label"]
    with pytest.raises(ConfigError, match="no output 'nothing'"):
        load(tmp_path / "m.onnx", parameters={"outputs": ["nothing"]})


def test_text_goes_in_and_out(tmp_path: Path) -> None:
    text = [helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in ("a", "y")]
    path = save_graph(tmp_path / "m.onnx", [helper.make_node("Identity", ["a"], ["y"])], text[:1], text[1:])
    adapter = load(path)
    assert adapter.signature().inputs[0].datatype == "BYTES"
    assert list(adapter.predict({"a": np.array([b"x", "é".encode()], dtype=object)})["y"]) == ["x", "é"]


def test_inputs_may_have_any_order_and_strides(tmp_path: Path) -> None:
    kinds = {"a": TensorProto.FLOAT, "b": TensorProto.FLOAT, "y": TensorProto.FLOAT}
    infos = {name: helper.make_tensor_value_info(name, kind, ["n", 2]) for name, kind in kinds.items()}
    node = helper.make_node("Sub", ["a", "b"], ["y"])
    adapter = load(save_graph(tmp_path / "m.onnx", [node], [infos["a"], infos["b"]], [infos["y"]]))
    a, b = np.arange(6.0).reshape(2, 3).T, np.ones((3, 2), dtype=np.float32)
    np.testing.assert_allclose(np.asarray(adapter.predict({"b": b, "a": a})["y"]), a - b)
    with pytest.raises(InvalidInput, match="takes a, b"):
        adapter.predict({"a": b})


def test_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07garbage")
    with pytest.raises(ConfigError, match="no ONNX model"):
        load(tmp_path / "m.onnx")


def test_onnx_is_what_the_tests_think(tmp_path: Path) -> None:
    saved.save_onnx(tmp_path / "m.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "m.onnx"))
