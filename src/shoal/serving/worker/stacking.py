"""Requests of one group -> the arrays that the adapter is given: each input once, the rows of all requests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.tensors import bytes_array
from shoal.core.wire.heads import Decoded
from shoal.serving.worker.binding import Plan

Array = npt.NDArray[Any]


def stack(requests: Sequence[Decoded], plan: Plan, rows: int) -> dict[str, Array]:
    """The inputs of several requests of the same group, one after the other.

    Args:
        requests: in order.
        plan: of any of them.
        rows: of all of them.

    Returns:
        Name -> array of shape ``(rows, ...)``, writable, contiguous and aligned.
    """
    return {
        each.name: _join([request.data[each.index] for request in requests], each.dtype).reshape(rows, *each.trailing)
        for each in plan.inputs
    }


def _join(parts: list[Any], dtype: np.dtype[Any]) -> Array:
    if dtype.kind != "f" or dtype.itemsize == 8:
        return _joined(parts, dtype)
    with np.errstate(over="ignore"):  # a number that is too large becomes an infinity, which is refused later
        return _joined(parts, dtype)


def _joined(parts: list[Any], dtype: np.dtype[Any]) -> Array:
    if all(type(part) is list for part in parts):
        flat = parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))
        return bytes_array(flat) if dtype.kind == "O" else np.array(flat, dtype=dtype)
    if len(parts) > 1:
        return np.concatenate([np.asarray(part).reshape(-1) for part in parts], dtype=dtype, casting="unsafe")
    array: Array = np.asarray(parts[0]).reshape(-1).astype(dtype, copy=False)
    return array if array.flags.carray else array.copy()


def all_finite(inputs: dict[str, Array]) -> bool:
    """Whether no floating-point input has a NaN or an infinity."""
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in inputs.values())
