"""Safetensors files, looked at before anybody loads one: the header is sound, and the weights are numbers.

The format is a length (8 bytes), a header (JSON: each tensor's type, shape and place), and the data. A sound file has
its tensors side by side, without gap or overlap, from the first byte of the data to the last, each as long as its type
and shape say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np

from shoal.control.artifacts.intake.names import refuse
from shoal.core.errors import InvalidInput

MAX_HEADER = 100_000_000
CHUNK = 4 * 1024 * 1024
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
    "C64": 64,
}  # fmt: skip
_FLOATS: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_BF16_EXPONENT, _BF16_FRACTION = 0x7F80, 0x007F


class Tensor(NamedTuple):
    """A tensor's place, in bytes from the beginning of the data."""

    name: str
    kind: str
    start: int
    end: int


class _Record(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def examine(file: Path, path: str) -> list[str]:
    """What is to be said of a file, such as that weights are not numbers; empty if nothing.

    Args:
        path: how it is called in errors.

    Raises:
        InvalidInput: it is not sound.
    """
    with file.open("rb") as source:
        size = source.seek(0, 2)
        tensors, data = _tensors(source, size, path)
        found = [tensor.name for tensor in tensors if _has_nan(source, tensor, data)]
    if not found:
        return []
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{path} has weights that are not numbers (NaN): in {found[0][:80]!a}{more}"]


def _tensors(source: BinaryIO, size: int, path: str) -> tuple[list[Tensor], int]:
    source.seek(0)
    length = int.from_bytes(source.read(8), "little")
    if size < 8 or length > min(MAX_HEADER, size - 8):
        raise _unsound(path, "its header is longer than the file or than 100 MB")
    tensors = sorted(parse_header(source.read(length), path), key=lambda tensor: (tensor.start, tensor.end))
    at = 0
    for tensor in tensors:
        if tensor.start != at:
            raise _unsound(path, f"tensor {tensor.name[:80]!a} overlaps another, or leaves a gap")
        at = tensor.end
    if at != size - 8 - length:
        raise _unsound(path, "its data is shorter or longer than its header says")
    return tensors, 8 + length


def parse_header(data: bytes, path: str) -> Iterator[Tensor]:
    """The tensors of a header, each as long as its type and shape say.

    Raises:
        InvalidInput: the header is malformed.
    """
    try:
        header: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
        header.pop("__metadata__", None)
        records = msgspec.convert(header, dict[str, _Record])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise _unsound(path, "its header is malformed") from error
    for name, record in records.items():
        start, end = record.data_offsets
        if record.dtype not in BITS or not 0 <= start <= end or any(number < 0 for number in record.shape):
            raise _unsound(path, f"tensor {name[:80]!a} has a type, shape or place that is none")
        if (math.prod(record.shape) * BITS[record.dtype] + 7) // 8 != end - start:
            raise _unsound(path, f"tensor {name[:80]!a} is not as long as its type and shape say")
        yield Tensor(name, record.dtype, start, end)


def _has_nan(source: BinaryIO, tensor: Tensor, data: int) -> bool:
    if tensor.kind not in _FLOATS and tensor.kind != "BF16":
        return False
    source.seek(data + tensor.start)
    left = tensor.end - tensor.start
    while left:
        part = source.read(min(left, CHUNK))
        left -= len(part)
        if _nan_in(part, tensor.kind):
            return True
    return False


def _nan_in(part: bytes, kind: str) -> bool:
    if kind == "BF16":
        bits = np.frombuffer(part, "<u2")
        return bool((((bits & _BF16_EXPONENT) == _BF16_EXPONENT) & ((bits & _BF16_FRACTION) != 0)).any())
    return bool(np.isnan(np.frombuffer(part, _FLOATS[kind])).any())


def _unsound(path: str, reason: str) -> InvalidInput:
    return refuse(path, f"is no sound safetensors file: {reason}", "save the weights again")
