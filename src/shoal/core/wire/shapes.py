"""Shapes and datatypes as they come from the wire, checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.errors import InvalidInput, Unsupported
from shoal.core.types import DATATYPES

MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 31
"""Elements of a tensor; more than any body can carry."""

SIZES = {
    "BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
    "FP16": 2, "FP32": 4, "FP64": 8,
}  # fmt: skip
"""Bytes of an element; `BYTES` has no fixed size."""

_KNOWN = frozenset(DATATYPES)


def check_datatype(datatype: str, field: str) -> None:
    """Raise `InvalidInput` (`Unsupported` for BF16) for what is not a V2 datatype."""
    if datatype in _KNOWN:
        return
    if datatype == "BF16":
        raise Unsupported("BF16 is not offered", hint="send FP32", field=field)
    raise InvalidInput(f"datatype {datatype[:40]!r} is not one of {', '.join(DATATYPES)}", field=field)


def count_elements(shape: Sequence[int], field: str, *, least: int = 1) -> int:
    """How many elements a tensor of the shape has.

    Args:
        shape: dimensions as sent.
        field: path of the shape, for errors.
        least: smallest dimension allowed: 1 in requests, 0 in responses.

    Raises:
        InvalidInput: no dimension, too many, a negative or empty one, or more elements than a body can carry.
    """
    if not shape and least:
        raise InvalidInput("a shape needs at least one dimension, the batch", field=field)
    if len(shape) > MAX_DIMENSIONS:
        raise InvalidInput(f"a shape has at most {MAX_DIMENSIONS} dimensions, not {len(shape)}", field=field)
    count = 1
    for at, size in enumerate(shape):
        if size < least:
            raise InvalidInput(f"a dimension cannot be {size}", field=f"{field}[{at}]")
        count *= size
        if count > MAX_ELEMENTS:
            raise InvalidInput(f"a tensor has at most {MAX_ELEMENTS} elements", field=field)
    return count


def mismatch(found: int, shape: Sequence[int], field: str) -> InvalidInput:
    """The error for data that is not as long as its shape says."""
    dimensions = list(shape)
    return InvalidInput(f"data has {found} elements, but its shape {dimensions} says otherwise", field=field)
