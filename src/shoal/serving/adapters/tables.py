"""What the adapters for tables share: the matrix of a batch, and what their outputs look like.

A model of n features takes one input of shape `[rows, n]` under any name, or, when it knows its features' names, one
input of shape `[rows]` or `[rows, 1]` per feature.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from shoal.core.errors import InvalidInput
from shoal.core.tensors import datatype_of
from shoal.core.types import TensorSpec
from shoal.serving.adapters.base import Array

logger = logging.getLogger(__name__)


def matrix_of(inputs: Mapping[str, Array], width: int, names: Sequence[str]) -> Array:
    """The matrix `[rows, width]` of a batch.

    Args:
        inputs: one matrix under any name, or a column per feature.
        width: features of the model; 0 when it does not tell.
        names: the features' names in their order; empty when it does not know them.

    Raises:
        InvalidInput: neither, or another width.
    """
    if names and len(inputs) == len(names) and all(name in inputs for name in names):
        return np.stack([column_of(name, inputs[name]) for name in names], axis=1)
    if len(inputs) != 1:
        wanted = f"one input, or one of each of {', '.join(names)}" if names else "one input"
        raise InvalidInput(f"the model takes {wanted}; it was given {', '.join(inputs) or 'none'}", field="inputs")
    name, array = next(iter(inputs.items()))
    if array.ndim == 1 and width == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or (width and array.shape[1] != width):
        shape = ["rows", *array.shape[1:]]
        raise InvalidInput(f"{name!r} must have {width or 'n'} columns, its shape is {shape}", field=f"inputs.{name}")
    return array


def column_of(name: str, array: Array) -> Array:
    """One feature as `[rows]`, from `[rows]` or `[rows, 1]`."""
    if array.ndim != 1 and array.size != len(array):
        raise InvalidInput(f"{name!r} must have one value per row, its shape is {list(array.shape)}", field=name)
    return array.reshape(-1)


def decode_texts(array: Array) -> list[str]:
    """The `str` of a column of `bytes`.

    Raises:
        InvalidInput: one is not UTF-8.
    """
    try:
        return [each.decode() if isinstance(each, bytes) else str(each) for each in array.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise InvalidInput("text must be UTF-8") from error


def probe_outputs(
    predict: Callable[[dict[str, Array]], Mapping[str, object]], example: dict[str, Array]
) -> tuple[TensorSpec, ...]:
    """What the outputs look like, from one call with an example of one row; empty if it does not take it."""
    try:
        outputs = predict(example)
    except Exception as error:  # noqa: BLE001 - a made-up row may be one that the model cannot take
        logger.info("outputs not known", extra={"reason": str(error)})
        return ()
    return tuple(_spec(name, np.asarray(value)) for name, value in outputs.items())


def _spec(name: str, array: Array) -> TensorSpec:
    return TensorSpec(name, datatype_of(array), (-1, *array.shape[1:]))
