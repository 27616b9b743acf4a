"""The `data` of JSON tensors: text <-> flat lists or arrays, typed, and without Python floats where there are many.

Nested data is taken if it has exactly the declared shape; flat data if it has as many elements. Numbers that do not fit
the datatype are refused: no integer from 1.5, no INT8 from 300, no number from true. FP16 has no JSON form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from operator import mul
from typing import Annotated, Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import simdjson
from msgspec import Meta

from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES
from shoal.core.wire import json_guard, shapes

Array = npt.NDArray[Any]

SMALL = 2048
"""Bytes of text up to which a list of Python numbers is faster than simdjson and NumPy."""

_PARSER_KEEPS = 8 * 1024 * 1024
_ELEMENTS: dict[str, Any] = {
    "BOOL": bool,
    "FP32": float,
    "FP64": float,
    "BYTES": str,
    "UINT64": Annotated[int, Meta(ge=0)],
    "INT64": int,
    **{
        name: Annotated[int, Meta(ge=int(np.iinfo(DTYPES[name]).min), le=int(np.iinfo(DTYPES[name]).max))]
        for name in ("UINT8", "UINT16", "UINT32", "INT8", "INT16", "INT32")
    },
}
_BUFFERS: dict[str, tuple[str, Any]] = {"F": ("d", np.float64), "I": ("i", np.int64), "U": ("u", np.uint64)}
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[],"))
_OPENING = ord("[")
_WALKED = 256
"""Bytes of text per list from which on looking at each list is cheaper than at each byte."""
_TWO_64, _TWO_63 = 1 << 64, 1 << 63

encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=256)
def _decoder(datatype: str, depth: int) -> Callable[[bytes | memoryview], list[Any]]:
    kind: Any = float | str if datatype == "special" else _ELEMENTS[datatype]
    for _ in range(depth):
        kind = list[kind]
    return cast("Callable[[bytes | memoryview], list[Any]]", msgspec.json.Decoder(kind).decode)


FLOATS = _decoder("FP64", 1)


class _Parser:
    """simdjson's parser keeps its buffers: reused, but given up after a giant."""

    parser: Any = simdjson.Parser()


def read(
    text: bytes | memoryview, datatype: str, shape: Sequence[int], count: int, at: str, special: bool = False
) -> Any:
    """Data of one tensor.

    Args:
        text: a JSON array.
        datatype, shape, count: as declared, and checked before.
        at: path of the data, for errors.
        special: take the strings "NaN", "Infinity" and "-Infinity" for floats.

    Returns:
        A flat list of Python values (small, or text), or an array with `count` elements of the datatype.

    Raises:
        InvalidInput: not an array of such elements, or not `count` of them.
    """
    if datatype == "FP16":
        raise InvalidInput("FP16 has no JSON form", hint="send it as binary data, or as FP32", field=at)
    values: Any = None
    if len(text) > SMALL:
        if datatype not in ("BYTES", "BOOL"):
            values = _read_large(text, datatype, shape)
    elif datatype in ("FP32", "FP64") and isinstance(text, bytes) and text.find(b"[", 1) < 0:
        values = _read_floats(text)
    if values is None:
        values = _read_list(text, datatype, shape, at, special)
    if len(values) != count:
        raise shapes.mismatch(len(values), shape, at)
    return values


def _read_floats(text: bytes) -> list[float] | None:
    """A small flat list, or None if anything is unusual: then `_read_list` says what."""
    try:
        return FLOATS(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _read_list(text: bytes | memoryview, datatype: str, shape: Sequence[int], at: str, special: bool) -> list[Any]:
    nested = bytes(text[1:64]).lstrip()[:1] == b"[" and len(shape) > 1
    depth = len(shape) if nested else 1
    if nested:
        json_guard.check_size(text, at=at)
    try:
        values = _decoder(datatype, depth)(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not (special and datatype in ("FP32", "FP64")):
            raise json_guard.explain(error, at) from error
        values = json_guard.parse(_decoder("special", depth), text, at=at)
    values = _flatten(values, shape, at) if nested else values
    if special and str in map(type, values) and datatype != "BYTES":
        values = [_from_special(value, at) for value in values]
    if datatype.endswith("INT64"):
        _check_64(values, datatype, at)
    return values


def _flatten(values: list[Any], shape: Sequence[int], at: str) -> list[Any]:
    level: list[Any] = [values]
    for size in shape:
        if any(len(each) != size for each in level):
            raise InvalidInput(f"nested data does not have the shape {list(shape)}", field=at)
        level = list(chain.from_iterable(level))
    return level


def _from_special(value: float | str, at: str) -> float:
    if isinstance(value, float):
        return value
    if value not in _SPECIAL:
        raise InvalidInput(f"expected a number, got {value[:40]!r}", field=at)
    return _SPECIAL[value]


def _check_64(values: list[int], datatype: str, at: str) -> None:
    low, high = (0, _TWO_64) if datatype == "UINT64" else (-_TWO_63, _TWO_63)
    if values and not (low <= min(values) and max(values) < high):
        raise InvalidInput(f"an integer is out of the range of {datatype}", field=at)


def _read_large(text: bytes | memoryview, datatype: str, shape: Sequence[int]) -> Array | None:
    """The array, or None if anything is unusual: then the exact decoder says what."""
    kind, dtype = _BUFFERS[datatype[0]]
    try:
        document = _Parser.parser.parse(text)
        buffer = document.as_buffer(of_type=kind)
        fits = _has_structure(document, text, shape)
        del document
    except (ValueError, TypeError, RuntimeError, AttributeError):
        _Parser.parser = simdjson.Parser()
        return None
    if len(text) > _PARSER_KEEPS:
        _Parser.parser = simdjson.Parser()
    if not fits:
        return None
    array = np.frombuffer(buffer, dtype=dtype)
    target = DTYPES[datatype]
    if dtype is not np.float64 and array.size and target.itemsize < 8:
        limits = np.iinfo(target)
        if array.min() < limits.min or array.max() > limits.max:
            return None
    with np.errstate(over="ignore"):
        return array.astype(target, copy=False)


def _has_structure(document: Any, text: bytes | memoryview, shape: Sequence[int]) -> bool:
    """Whether an array is flat, or has exactly the shape; it is known to hold only lists and numbers."""
    lists = int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == _OPENING))
    if lists == 1:
        return True
    if lists != 1 + sum(accumulate(shape[:-1], mul)):
        return False
    if lists * _WALKED > len(text):
        return _is_spelled(text, shape)
    level = [document]
    for size in shape[:-1]:
        if any(len(each) != size for each in level):
            return False
        level = [part for each in level for part in each]
    return all(len(each) == shape[-1] for each in level)  # all lists are counted: what is in these are numbers


def _is_spelled(text: bytes | memoryview, shape: Sequence[int]) -> bool:
    """Whether brackets and commas are exactly those of an array of the shape."""
    if 2 * math.prod(shape) > len(text) + 1:
        return False
    expected = b"," * (shape[-1] - 1)
    for size in reversed(shape[:-1]):
        expected = b",".join([b"[" + expected + b"]"] * size)
    return bytes(text).translate(None, _NOT_STRUCTURE) == b"[" + expected + b"]"


def write(values: list[Any]) -> bytes:
    """A flat list of finite numbers, bools or `str` as JSON."""
    return encode(values)


def write_special(values: list[Any]) -> bytes:
    """The same for numbers of which some are not finite: those become "NaN", "Infinity" and "-Infinity"."""
    return encode(name_special(values))


def name_special(values: list[float]) -> list[float | str]:
    """Numbers that are not finite replaced by their names."""
    return [value if abs(value) < float("inf") else _name_special(value) for value in values]


def _name_special(value: float) -> str:
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def texts(values: Sequence[Any], at: str) -> list[str]:
    """Elements of a ``BYTES`` tensor as text.

    Raises:
        InvalidInput: one of them is not UTF-8; JSON cannot carry it.
    """
    try:
        return [value if isinstance(value, str) else value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise InvalidInput(
            "the bytes are not UTF-8 text, which JSON needs", hint="use binary data", field=at
        ) from error
