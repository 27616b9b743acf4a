"""V2 datatypes and NumPy arrays, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.errors import InvalidInput
from shoal.core.types import Tensor

Array = npt.NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""The dtype of each V2 datatype; ``BYTES`` is an object array of `bytes`. BF16 has no NumPy dtype: not offered."""

DATATYPES: dict[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items()}


def datatype_of(array: Array) -> str:
    """The V2 datatype for an array; text and objects are ``BYTES``.

    Raises:
        InvalidInput: the dtype (complex, datetime, ...) has no V2 datatype.
    """
    name = DATATYPES.get(array.dtype)
    if name is None and array.dtype.kind in "USO":
        return "BYTES"
    if name is None:
        name = DATATYPES.get(array.dtype.newbyteorder("="))
    if name is None:
        raise InvalidInput(f"dtype {array.dtype} has no V2 datatype", hint="convert it to a number, a bool or text")
    return name


def to_bytes(value: object) -> bytes:
    """One element of a ``BYTES`` tensor: bytes as they are, text as UTF-8, anything else as JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value, ensure_ascii=False, default=str).encode()


def bytes_array(values: Iterable[object], shape: Sequence[int] | None = None) -> Array:
    """An object array of `bytes`."""
    items = [to_bytes(value) for value in values]
    array = np.empty(len(items), dtype=np.object_)
    array[:] = items
    return array if shape is None else array.reshape(tuple(shape))


def to_array(data: Any, datatype: str, shape: Sequence[int]) -> Array:
    """Data of a tensor as an array of its datatype and shape.

    Raises:
        InvalidInput: unknown datatype, or data that does not fit datatype or shape.
    """
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise InvalidInput(f"datatype {datatype!r} is not one of {', '.join(DTYPES)}")
    try:
        if dtype.kind == "O":
            return bytes_array(np.asarray(data, dtype=np.object_).ravel(), shape)
        return np.asarray(data, dtype=dtype).reshape(tuple(shape))
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInput(f"data does not fit {datatype} of shape {list(shape)}") from error


def from_array(name: str, array: Array) -> Tensor:
    """An array as a tensor; text becomes ``BYTES``."""
    datatype = datatype_of(array)
    if datatype == "BYTES":
        array = bytes_array(array.ravel(), array.shape)
    return Tensor(name, list(array.shape), datatype, array)
