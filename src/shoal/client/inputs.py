"""What callers have at hand (arrays, lists, data frames, strings) and V2 tensors, both ways. Pure.

The model's signature, where it is known, gives the names and dtypes: numbers are cast to the declared dtype when no
value changes its kind (integers may become floats, floats never become integers), so that a plain list of Python floats
fits a model of ``FP32``. What does not fit is sent as it is: the server says what is wrong.

    array, nested list         the model's only input
    list of strings            the model's only input, as ``BYTES``
    mapping name -> values     one tensor for each
    data frame                 one tensor for each column if the columns are the model's inputs, else one matrix
    list of Tensor             as they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES, bytes_array, from_array
from shoal.core.types import InferenceResponse, Signature, Tensor, TensorSpec

Array = npt.NDArray[Any]

DEFAULT_NAME = "input-0"
"""The name of the only input of a model that does not tell its name: such a model takes it under any name."""


def to_tensors(inputs: Any, signature: Signature) -> list[Tensor]:
    """Anything that a caller may pass as `inputs`, as tensors.

    Args:
        inputs: see the module.
        signature: what the model declares; empty if it does not tell.

    Raises:
        InvalidInput: it cannot be turned into tensors; the sentence names the input.
    """
    if isinstance(inputs, Sequence) and inputs and all(isinstance(each, Tensor) for each in inputs):
        return list(inputs)
    if _is_frame(inputs):
        return columns_to_tensors({str(name): inputs[name].to_numpy() for name in inputs.columns}, signature)
    if isinstance(inputs, Mapping):
        specs = {spec.name: spec for spec in signature.inputs}
        return [_tensor(str(name), value, specs.get(str(name))) for name, value in inputs.items()]
    return [_only(inputs, signature)]


def needs_signature(inputs: Any) -> bool:
    """Whether names or dtypes of the model help to make tensors of these inputs."""
    return not (isinstance(inputs, Sequence) and inputs and all(isinstance(each, Tensor) for each in inputs))


def columns_to_tensors(columns: Mapping[str, Array], signature: Signature) -> list[Tensor]:
    """The columns of a table as tensors of one row per row.

    If the model's inputs have the columns' names (or it has none to tell and they are of mixed kinds), each column is a
    tensor of shape ``(rows,)``, or ``(rows, 1)`` where the model declares that. Else they form one matrix, in order.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    if specs.keys() & columns.keys() or len(specs) > 1:
        return [_column(name, values, specs.get(name)) for name, values in columns.items()]
    kinds = {"O" if values.dtype.kind in "USO" else "n" for values in columns.values()}
    if not specs and len(kinds) > 1:
        return [_column(name, values, None) for name, values in columns.items()]
    if len(columns) == 1 and "O" in kinds:
        return [_only(next(iter(columns.values())), signature)]
    return [_only(np.column_stack(list(columns.values())), signature)]


def to_arrays(response: InferenceResponse) -> dict[str, Array]:
    """The outputs by name; ``BYTES`` that is UTF-8 becomes text (object arrays of `str`)."""
    return {output.name: _readable(output.as_numpy()) for output in response.outputs}


def simplest(arrays: dict[str, Array]) -> Array | dict[str, Array]:
    """The array itself if there is only one."""
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def texts(response: InferenceResponse) -> list[str]:
    """The first output as a flat list of strings.

    Raises:
        InvalidInput: the model has no output of text.
    """
    if not response.outputs or response.outputs[0].datatype != "BYTES":
        raise InvalidInput("the model does not answer with text", hint="use predict() or infer() for typed models")
    return [_text(value) for value in response.outputs[0].as_numpy().ravel()]


def cast(array: Array, datatype: str) -> Array:
    """The array in the declared dtype, if that keeps the kind and, for integers, every value; otherwise unchanged."""
    dtype = DTYPES.get(datatype)
    if dtype is None or dtype.kind == "O" or array.dtype == dtype or array.dtype.kind not in "biuf":
        return array
    if array.dtype.kind == "f" and dtype.kind != "f":
        return array
    if "b" in (dtype.kind, array.dtype.kind):
        return array
    changed = array.astype(dtype)
    return changed if dtype.kind == "f" or np.array_equal(changed, array) else array


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def _only(value: Any, signature: Signature) -> Tensor:
    if len(signature.inputs) > 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise InvalidInput(
            f"the model has {len(signature.inputs)} inputs, one array is not enough",
            hint=f"pass a mapping with the names {names}",
        )
    spec = signature.inputs[0] if signature.inputs else None
    return _tensor(spec.name if spec else DEFAULT_NAME, value, spec)


def _column(name: str, values: Array, spec: TensorSpec | None) -> Tensor:
    if spec is not None and len(spec.shape) == 2 and values.ndim == 1:
        values = values.reshape(-1, 1)
    return _tensor(name, values, spec)


def _tensor(name: str, value: Any, spec: TensorSpec | None) -> Tensor:
    if isinstance(value, Tensor):
        return value
    array = _array(name, value)
    if spec is not None:
        array = cast(_fit(array, spec), spec.datatype)
    try:
        return from_array(name, np.ascontiguousarray(array))
    except InvalidInput as error:
        raise InvalidInput(f"input {name}: {error.message}", hint=error.hint, field=name) from error


def _array(name: str, value: Any) -> Array:
    if isinstance(value, (str, bytes)):
        return bytes_array([value])
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, Sequence) and any(isinstance(each, bytes) for each in value):
        return bytes_array(value)
    try:
        return np.asarray(value)
    except ValueError as error:
        hint = "all rows of an input must have the same length"
        raise InvalidInput(f"input {name}: rows of different lengths", hint=hint, field=name) from error


def _fit(array: Array, spec: TensorSpec) -> Array:
    """A list of strings becomes a column where one is declared; one row without its batch dimension gets it."""
    if spec.datatype == "BYTES" and array.ndim == 1 and len(spec.shape) == 2 and spec.shape[1] in (-1, 1):
        return array.reshape(-1, 1)
    if array.ndim == len(spec.shape) - 1 and spec.shape[1:] and _matches(array.shape, spec.shape[1:]):
        return array[np.newaxis]
    return array


def _matches(shape: Sequence[int], declared: Sequence[int]) -> bool:
    return all(wanted in (-1, size) for size, wanted in zip(shape, declared, strict=True))


def _readable(array: Array) -> Array:
    if array.dtype.kind != "O":
        return array
    try:
        flat = [value.decode() if isinstance(value, bytes) else value for value in array.ravel()]
    except UnicodeDecodeError:
        return array
    result = np.empty(len(flat), dtype=np.object_)
    result[:] = flat
    return result.reshape(array.shape)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
