"""The runtime `tensorflow`: SavedModel folders and `.keras` files, on the CPU.

A SavedModel is called by its signature (the parameter ``signature``, by default `serving_default`), whose names,
datatypes and shapes are the model's. A Keras model is read in safe mode, which refuses code in it; its inputs have the
names of its input layers, its outputs their own, or `predict`, or `output_0`, ... A single input is taken under any
name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import locate
from shoal.core.tensors import DATATYPES
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.outputs import named
from shoal.serving.adapters.tables import probe_outputs


class TensorFlow(TypedAdapter):
    platform = "tensorflow"

    def load(self) -> None:
        _limit_threads(self.spec.limits.threads)
        path = Path(self.spec.path)
        saved = path.is_dir() and (path / "saved_model.pb").is_file()
        self._call, self._inputs = self._load_saved(path) if saved else self._load_keras(locate(path, "tensorflow"))
        self._outputs = tuple(each.name for each in self.spec.outputs)

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        if len(inputs) == 1 == len(self._inputs):
            inputs = {next(iter(self._inputs)): next(iter(inputs.values()))}
        if inputs.keys() != self._inputs.keys():
            wanted = ", ".join(self._inputs)
            raise InvalidInput(f"the model takes {wanted}; it was given {', '.join(inputs) or 'none'}", field="inputs")
        feed = {name: tf.constant(array, dtype=self._inputs[name].dtype) for name, array in inputs.items()}
        return {name: np.asarray(value) for name, value in named(self._call(feed), self._outputs).items()}

    def signature(self) -> Signature:
        inputs = tuple(_spec(name, each) for name, each in self._inputs.items())
        example = {name: _example(each) for name, each in self._inputs.items()}
        return Signature(inputs, probe_outputs(self.predict, example))

    def _load_saved(self, path: Path) -> tuple[Any, dict[str, Any]]:
        name = str(self.spec.parameters.get("signature") or "serving_default")
        try:
            self._model = tf.saved_model.load(str(path))
        except Exception as error:
            raise ConfigError(f"{path.name} is no SavedModel that can be read: {error}") from error
        signatures = self._model.signatures
        if name not in signatures:
            hint = f"it has: {', '.join(signatures) or 'none'}; choose with the parameter `signature`"
            raise ConfigError(f"{path.name} has no signature {name!r}", hint=hint, field="parameters.signature")
        function = signatures[name]
        return lambda feed: function(**feed), dict(function.structured_input_signature[1])

    def _load_keras(self, file: Path) -> tuple[Any, dict[str, Any]]:
        try:
            model = tf.keras.models.load_model(file, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{file.name} is no Keras model that can be read safely: {reason}") from error
        specs = {each.name: tf.TensorSpec(each.shape, each.dtype) for each in model.inputs}
        if len(specs) == 1:
            call = tf.function(lambda feed: model(next(iter(feed.values())), training=False), input_signature=[specs])
        else:
            call = tf.function(lambda feed: model(feed, training=False), input_signature=[specs])
        return call, specs


def _limit_threads(threads: int) -> None:
    with contextlib.suppress(RuntimeError):  # a neighbour in this worker has run already: its limits hold
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def _shape(spec: Any) -> tuple[int, ...]:
    return tuple(-1 if each is None else int(each) for each in spec.shape) if spec.shape.rank is not None else (-1,)


def _spec(name: str, spec: Any) -> TensorSpec:
    if spec.dtype == tf.string:
        return TensorSpec(name, "BYTES", _shape(spec))
    datatype = DATATYPES.get(np.dtype(spec.dtype.as_numpy_dtype))
    if datatype is None:
        raise ConfigError(f"input {name!r} is {spec.dtype.name}, which V2 has no datatype for")
    return TensorSpec(name, datatype, _shape(spec))


def _example(spec: Any) -> Array:
    shape = tuple(1 if each == -1 else each for each in _shape(spec))
    if spec.dtype == tf.string:
        return np.full(shape, b"a", dtype=np.object_)
    return np.zeros(shape, dtype=spec.dtype.as_numpy_dtype)
