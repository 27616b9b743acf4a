"""Makes the models and bodies of the benchmark, seeded, so that every run asks the same of everybody.

iris: a scikit-learn classifier of 4 floats. mlp: an ONNX network 256-1024-1024-1024-10. big: takes an image tensor of
1x3x224x224 and answers its first 1,000 values, so that only moving the tensor costs anything.
"""

from __future__ import annotations

import itertools
import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.paths import BODIES, MODELS, PYTHON, SERVERS
from shoal.core._generated import shoal_inference_pb2 as messages

MLP_WIDTHS = (256, 1024, 1024, 1024, 10)
SEED = 20
SINGLE = "runtime: onnx\npath: model.onnx\nbatching:\n  max_size: 1\n"


def make_models(folder: Path = MODELS) -> None:
    """All models, and the folders that Shoal serves: `shoal-iris`, `shoal-mlp`, `shoal-mlp-single`, `shoal-big`."""
    _write_mlp(folder / "mlp.onnx")
    _write_big(folder / "big.onnx")
    train_iris(PYTHON, folder / "iris.joblib")
    _lay_out(folder)


def train_iris(python: Path, target: Path) -> None:
    """Trains iris in the environment that will load it (pickles do not travel between versions)."""
    train("train_iris.py", python, target)


def train(script: str, python: Path, target: Path) -> Path:
    """Runs a script of `servers/` that stores a model, unless it is there already."""
    if not target.exists():
        subprocess.run([python, SERVERS / script, target], check=True)
    return target


def _lay_out(folder: Path) -> None:
    for name, files in {"iris": ["iris.joblib"], "mlp": ["mlp.onnx"], "big": ["iris.joblib", "big.onnx"]}.items():
        place = folder / f"shoal-{name}"
        place.mkdir(exist_ok=True)
        for file in files:
            shutil.copyfile(folder / file, place / file)
    single = folder / "shoal-mlp-single" / "mlp"
    single.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "mlp.onnx", single / "model.onnx")
    (single / "model.yaml").write_text(SINGLE)


def _write_mlp(path: Path) -> None:
    random = np.random.default_rng(SEED)
    nodes, weights, current = [], [], "x"
    layers = list(itertools.pairwise(MLP_WIDTHS))
    for index, (wide, high) in enumerate(layers):
        matrix = (random.normal(size=(wide, high)) / np.sqrt(wide)).astype("f4")
        weights += [numpy_helper.from_array(matrix, f"w{index}")]
        weights += [numpy_helper.from_array(np.zeros(high, "f4"), f"b{index}")]
        last = index == len(layers) - 1
        linear = "y" if last else f"linear{index}"
        nodes.append(helper.make_node("Gemm", [current, f"w{index}", f"b{index}"], [linear]))
        if not last:
            current = f"relu{index}"
            nodes.append(helper.make_node("Relu", [linear], [current]))
    _save(path, nodes, weights, ["N", MLP_WIDTHS[0]], ["N", MLP_WIDTHS[-1]])


def _write_big(path: Path) -> None:
    bounds = [numpy_helper.from_array(np.array([at], "i8"), name) for name, at in (("a", 0), ("b", 1000), ("axis", 1))]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("Slice", ["flat", "a", "b", "axis"], ["y"]),
    ]
    _save(path, nodes, bounds, ["N", 3, 224, 224], ["N", 1000])


def _save(
    path: Path, nodes: list[Any], weights: list[Any], shape_in: list[str | int], shape_out: list[str | int]
) -> None:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape_in)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape_out)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def arrays() -> dict[str, np.ndarray]:
    """One row for each model, float32."""
    random = np.random.default_rng(SEED + 1)
    return {
        "iris": np.array([[5.1, 3.5, 1.4, 0.2]], "f4"),
        "mlp": random.normal(size=(1, 256)).astype("f4").round(4),
        "big": random.random((1, 3, 224, 224), dtype="f4"),
    }


def make_bodies(folder: Path = BODIES) -> None:
    """Every row in every encoding; the files are named MODEL.ENCODING."""
    for name, array in arrays().items():
        values, nested = array.ravel().tolist(), array.tolist()
        bodies = {
            "v2.json": json.dumps(v2_json(array, values)).encode(),
            "inputs.json": json.dumps({"inputs": nested}).encode(),
            "x.json": json.dumps({"x": nested}).encode(),
            "v2.bin": v2_binary(array),
            "raw": array.tobytes(),
            "grpc": framed(infer_request(name, array, raw=False)),
            "grpcraw": framed(infer_request(name, array, raw=True)),
        }
        for encoding, body in bodies.items():
            (folder / f"{name}.{encoding}").write_bytes(body)


def v2_json(array: np.ndarray, values: list[float]) -> dict[str, Any]:
    """A V2 inference request with plain data."""
    return {"inputs": [{"name": "x", "shape": list(array.shape), "datatype": "FP32", "data": values}]}


def v2_binary_header(array: np.ndarray) -> bytes:
    """The JSON part of a V2 request whose tensors follow as bytes, both ways."""
    size = {"binary_data_size": array.nbytes}
    tensor = {"name": "x", "shape": list(array.shape), "datatype": "FP32", "parameters": size}
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()


def v2_binary(array: np.ndarray) -> bytes:
    """Header and bytes of a binary V2 request."""
    return v2_binary_header(array) + array.tobytes()


def infer_request(model: str, array: np.ndarray, *, raw: bool) -> bytes:
    """A gRPC `ModelInferRequest`, with raw contents or with a list of floats."""
    request = messages.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=array.shape)
    if raw:
        request.raw_input_contents.append(array.tobytes())
    else:
        tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return request.SerializeToString()


def framed(message: bytes) -> bytes:
    """The message with gRPC's prefix: not compressed, length."""
    return struct.pack(">BI", 0, len(message)) + message
