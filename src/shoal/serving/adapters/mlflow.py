"""The runtime `mlflow`: a model folder of MLflow through its `python_function` flavour, with trust.

The model's own signature tells inputs and outputs: a column of a table is an input of shape `[rows]`, a tensor has its
own shape. Without one, a single input goes in as the array that it is, several as the columns of a data frame.
Outputs: columns of a data frame and keys of a mapping by their names, anything else `predict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.types import DataType

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import require_trust
from shoal.core.tensors import datatype_of
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.tables import column_of, decode_texts

_DATATYPES = {
    DataType.boolean: "BOOL",
    DataType.integer: "INT32",
    DataType.long: "INT64",
    DataType.float: "FP32",
    DataType.double: "FP64",
    DataType.string: "BYTES",
    DataType.binary: "BYTES",
}


class MLflow(TypedAdapter):
    platform = "mlflow"

    def load(self) -> None:
        require_trust(self.spec)
        path = Path(self.spec.path)
        try:
            self.model = mlflow.pyfunc.load_model(str(path), suppress_warnings=True)
        except ModuleNotFoundError as error:
            hint = f"install what {path.name}/requirements.txt lists in the model's environment"
            raise ConfigError(f"{path.name} needs the Python module {error.name!r}", hint=hint) from error
        except Exception as error:
            raise ConfigError(f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from error
        signature = self.model.metadata.signature
        self._schema = signature.inputs if signature is not None else None
        self._output_schema = signature.outputs if signature is not None else None
        self._tensors = self._schema is not None and self._schema.is_tensor_spec()

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        return _outputs(self.model.predict(self._data(inputs)))

    def signature(self) -> Signature:
        return Signature(_specs(self._schema, "inputs"), _specs(self._output_schema, "predict"))

    def _data(self, inputs: dict[str, Array]) -> Any:
        if self._schema is None:
            return next(iter(inputs.values())) if len(inputs) == 1 else _frame(inputs, {})
        if self._tensors:
            return dict(inputs) if self._schema.has_input_names() else next(iter(inputs.values()))
        if not self._schema.has_input_names():
            return pd.DataFrame(next(iter(inputs.values())))
        names = self._schema.input_names()
        missing = [each.name for each in self._schema.inputs if each.required and each.name not in inputs]
        if len(names) == 1 == len(inputs):
            inputs = {names[0]: next(iter(inputs.values()))}
        elif missing:
            raise InvalidInput(f"inputs are missing: {', '.join(missing)}", field="inputs")
        return _frame({name: inputs[name] for name in names if name in inputs}, self._schema.input_dict())


def _frame(inputs: Mapping[str, Array], columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(name, array, columns.get(name)) for name, array in inputs.items()})


def _column(name: str, array: Array, column: Any) -> Any:
    values = column_of(name, array)
    if values.dtype.kind != "O" or (column is not None and column.type == DataType.binary):
        return values
    return decode_texts(values)


def _outputs(result: Any) -> dict[str, Any]:
    if isinstance(result, pd.DataFrame):
        return {str(name): result[name].to_numpy() for name in result.columns}
    if isinstance(result, Mapping):
        return {str(name): np.asarray(value) for name, value in result.items()}
    if isinstance(result, list) and any(isinstance(each, (dict, list)) for each in result):
        objects = np.empty(len(result), dtype=np.object_)
        objects[:] = result
        return {"predict": objects}
    return {"predict": np.asarray(result)}


def _specs(schema: Any, default: str) -> tuple[TensorSpec, ...]:
    """The schema as V2 specs; empty where V2 has no datatype for a part of it."""
    specs = [_spec(each, default) for each in schema.inputs] if schema is not None else []
    return tuple(each for each in specs if each) if all(specs) else ()


def _spec(column: Any, default: str) -> TensorSpec | None:
    name = column.name or default
    if hasattr(column, "shape"):
        try:
            return TensorSpec(name, datatype_of(np.empty(0, column.type)), tuple(int(each) for each in column.shape))
        except InvalidInput:
            return None
    datatype = _DATATYPES.get(column.type) if isinstance(column.type, DataType) else None
    return TensorSpec(name, datatype, (-1,)) if datatype else None
