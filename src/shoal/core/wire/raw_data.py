"""Binary tensors: little-endian, row-major, no padding; ``BYTES`` as a 4-byte length and the bytes, each."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES
from shoal.core.wire.shapes import SIZES

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview

_LENGTH = struct.Struct("<I")
assert sys.byteorder == "little", "binary tensors are views of the machine's own memory"


def read(data: Buffer, datatype: str, count: int, at: str) -> Any:
    """Data of one tensor.

    Returns:
        A view of `data` as a flat array; for ``BYTES`` a list of `bytes`.

    Raises:
        InvalidInput: its length is not that of `count` elements, or a BOOL is neither 0 nor 1.
    """
    if datatype == "BYTES":
        return read_bytes(data, count, at)
    wanted = count * SIZES[datatype]
    if len(data) != wanted:
        raise InvalidInput(f"{datatype} of {count} elements takes {wanted} bytes, not {len(data)}", field=at)
    if not wanted:
        return np.empty(0, dtype=DTYPES[datatype])
    if datatype != "BOOL":
        return np.frombuffer(data, dtype=DTYPES[datatype])
    flags = np.frombuffer(data, dtype=np.uint8)
    if flags.max() > 1:
        raise InvalidInput("a BOOL is a byte of 0 or 1", field=at)
    return flags.view(np.bool_)


def read_bytes(data: Buffer, count: int, at: str) -> list[bytes]:
    """The elements of a binary ``BYTES`` tensor."""
    items: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        start = position + 4
        if start > end:
            raise InvalidInput("a BYTES element is cut off", field=at)
        position = start + _LENGTH.unpack_from(data, start - 4)[0]
        if position > end:
            raise InvalidInput("a BYTES element is cut off", field=at)
        items.append(bytes(data[start:position]))
    if len(items) != count:
        raise InvalidInput(f"there are {len(items)} BYTES elements, but the shape says {count}", field=at)
    return items


def write(array: Array) -> memoryview:
    """The bytes of an array of numbers or bools; no copy if it is contiguous."""
    contiguous = np.ascontiguousarray(array)
    view: Any = contiguous.reshape(-1).view(np.uint8)
    return memoryview(view)


def write_bytes(values: Iterable[bytes]) -> bytes:
    """A binary ``BYTES`` tensor."""
    parts: list[bytes] = []
    for value in values:
        parts += (_LENGTH.pack(len(value)), value)
    return b"".join(parts)
