"""The runtime `onnx`: an ONNX graph in ONNX Runtime, on the CPU; no code in it.

Names, datatypes and shapes are the graph's own; strings are BYTES. A sequence of maps, as classifiers converted from
scikit-learn give, becomes a matrix `[rows, classes]` in the order of the classes. The parameter ``outputs`` chooses
outputs by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import locate
from shoal.core.tensors import DTYPES
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.tables import decode_texts

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
_MAPS = ("seq(map(int64,tensor(float)))", "seq(map(string,tensor(float)))")


class ONNX(TypedAdapter):
    platform = "onnx_onnxruntime"

    def load(self) -> None:
        file = locate(Path(self.spec.path), "onnx")
        try:
            self.session = onnxruntime.InferenceSession(
                str(file), _options(self.spec.limits.threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ConfigError(f"{file.name} is no ONNX model that can be run: {error}") from error
        self._inputs = tuple(_input_spec(each) for each in self.session.get_inputs())
        self._dtypes = {each.name: DTYPES[each.datatype] for each in self._inputs}
        outputs = self._chosen(self.session.get_outputs())
        self._outputs = tuple(each.name for each in outputs)
        self._output_specs = tuple(_output_spec(each) for each in outputs)

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        if len(inputs) == 1 == len(self._inputs):
            inputs = {self._inputs[0].name: next(iter(inputs.values()))}
        if inputs.keys() != self._dtypes.keys():
            wanted = ", ".join(self._dtypes)
            raise InvalidInput(f"the model takes {wanted}; it was given {', '.join(inputs) or 'none'}", field="inputs")
        feed = {name: _ready(array, self._dtypes[name]) for name, array in inputs.items()}
        results = self.session.run(self._outputs, feed)
        return {name: _plain(value) for name, value in zip(self._outputs, results, strict=True)}

    def signature(self) -> Signature:
        return Signature(self._inputs, self._output_specs)

    def _chosen(self, outputs: list[Any]) -> list[Any]:
        wanted = self.spec.parameters.get("outputs")
        if wanted is None:
            return outputs
        names = wanted if isinstance(wanted, list) else [wanted]
        known = {each.name: each for each in outputs}
        for name in names:
            if name not in known:
                message = f"the graph has no output {name!r}"
                raise ConfigError(message, hint=f"it has: {', '.join(known)}", field="parameters.outputs")
        return [known[str(name)] for name in names]


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # one pattern would be kept for every batch size
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads give the core to neighbours
    return options


def _input_spec(node: Any) -> TensorSpec:
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        raise ConfigError(f"input {node.name!r} is {node.type}, which V2 has no datatype for")
    return TensorSpec(node.name, datatype, _shape(node.shape))


def _output_spec(node: Any) -> TensorSpec:
    """The spec of an output; a matrix that is made of maps has as many columns as there are classes."""
    if node.type in _MAPS:
        return TensorSpec(node.name, "FP32", (-1, -1))
    datatype = _DATATYPES.get(node.type)
    if datatype is None:
        hint = "choose others with the parameter `outputs`"
        raise ConfigError(f"output {node.name!r} is {node.type}, which V2 has no datatype for", hint=hint)
    return TensorSpec(node.name, datatype, _shape(node.shape))


def _shape(shape: list[Any] | None) -> tuple[int, ...]:
    return tuple(each if isinstance(each, int) and each > 0 else -1 for each in shape or ())


def _ready(array: Array, dtype: np.dtype[Any]) -> Array:
    """An array that the session takes without a copy of its own."""
    if dtype.kind == "O":
        texts = np.empty(array.size, dtype=np.object_)
        texts[:] = decode_texts(array)
        return texts.reshape(array.shape)
    return np.ascontiguousarray(array, dtype=dtype)


def _plain(value: Any) -> Array | Sequence[object]:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        keys = list(value[0])
        return np.array([[row[key] for key in keys] for row in value], dtype=np.float32)
    result: Array = np.asarray(value)
    return result
