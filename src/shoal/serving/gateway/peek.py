"""What batching must know of a JSON body, read without reading its data.

Up to `SMALL` bytes a typed decoder skips the data and checks the syntax: shapes, `priority` and `timeout` are exact and
what is wrong is told with its path. Above it nothing is parsed on the loop: the first and the last 4 KiB are searched
for a shape and for parameters, and the worker, which decodes all of it anyway, finds the rest. The weight in rows is an
estimate in any case; it never exceeds the number of bytes.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, NamedTuple

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.wire import json_guard

SMALL = 64 * 1024
WINDOW = 4096
MAX_DIMENSIONS = 8

Body = bytes | bytearray | memoryview

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Input(msgspec.Struct, gc=False):
    shape: Annotated[list[_Natural], msgspec.Meta(max_length=MAX_DIMENSIONS)]


class _Parameters(msgspec.Struct, gc=False):
    priority: _Natural = 0
    timeout: _Natural = 0


class _V2(msgspec.Struct):
    inputs: Annotated[list[_Input], msgspec.Meta(min_length=1)]
    parameters: _Parameters | None = None


class _Texts(msgspec.Struct, gc=False):
    inputs: list[str]


class _V1(msgspec.Struct, gc=False):
    instances: list[msgspec.Raw] | None = None
    inputs: msgspec.Raw = msgspec.Raw()


class Peek(NamedTuple):
    """What was seen.

    Attributes:
        rows: the first dimension of the first input, at least 1.
        priority: V2's `priority`: 0 is the default, 1 the highest.
        timeout: V2's `timeout` in microseconds; 0 is none.
    """

    rows: int = 1
    priority: int = 0
    timeout: int = 0


NOTHING = Peek()
"""One row, and nothing special: what most requests are."""

_decode_v2 = msgspec.json.Decoder(_V2).decode
_decode_texts = msgspec.json.Decoder(_Texts).decode
_decode_v1 = msgspec.json.Decoder(_V1).decode


def v2(body: Body, json_length: int = -1) -> Peek:
    """Look at a V2 request whose JSON is the first `json_length` bytes (-1: all; 0: there is none).

    Raises:
        InvalidInput: malformed, nested too deep, or shapes that cannot be.
    """
    if json_length == 0:
        return NOTHING
    total = len(body)
    text = body if json_length < 0 or json_length == total else memoryview(body)[:json_length]
    if total > json_guard.MAX_DEPTH:  # what is shorter cannot be deeper
        if len(text) > SMALL:
            return _large_v2(text, total)
        check_depth(text)
    try:
        seen = _decode_v2(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise json_guard.explain(error) from error
    for position, tensor in enumerate(seen.inputs):
        if math.prod(tensor.shape) > total:
            raise _too_many(f"inputs[{position}].shape")
    shape = seen.inputs[0].shape
    rows = shape[0] or 1 if shape else 1
    if rows > total:  # another dimension is 0
        raise _too_many("inputs[0].shape")
    parameters = seen.parameters
    if parameters is None:
        return NOTHING if rows == 1 else Peek(rows)
    return Peek(rows, parameters.priority, parameters.timeout)


def texts(body: Body) -> Peek:
    """Look at a `predict_all` request.

    Raises:
        InvalidInput: malformed, nested too deep, or not a list of strings.
    """
    if len(body) > SMALL:
        return Peek(_estimate_items(body, _LIST_OF_TEXTS))
    check_depth(body)
    try:
        return Peek(max(1, len(_decode_texts(body).inputs)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise json_guard.explain(error) from error


def v1(body: Body) -> Peek:
    """Look at a V1 request.

    Raises:
        InvalidInput: malformed, nested too deep, or with neither `instances` nor `inputs`.
    """
    if len(body) > SMALL:
        return Peek(_estimate_items(body, _LIST_OF_INSTANCES))
    check_depth(body)
    try:
        seen = _decode_v1(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise json_guard.explain(error) from error
    if seen.instances is None and not bytes(seen.inputs):
        raise InvalidInput("the body has neither `instances` nor `inputs`", field="instances")
    return Peek(max(1, len(seen.instances or ())))


# What is wrong with a small body.


def _too_many(field: str) -> InvalidInput:
    return InvalidInput("the shape has more elements than the body has bytes", field=field)


_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def check_depth(body: Body) -> None:
    """Refuse JSON that is nested deeper than `json_guard.MAX_DEPTH`.

    Raises:
        InvalidInput: it is.
    """
    text = body if isinstance(body, (bytes, bytearray)) else bytes(body)
    if text.count(b"[") + text.count(b"{") > json_guard.MAX_DEPTH and _deeper_than(text, json_guard.MAX_DEPTH):
        raise json_guard.too_deep()


def _deeper_than(text: bytes | bytearray, limit: int) -> bool:
    """Whether brackets outside strings nest deeper; each round takes the innermost level away."""
    brackets = _STRINGS.sub(b"", text).translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        fewer = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(fewer) == len(brackets):
            return len(brackets) > limit
        brackets = fewer
    return bool(brackets)


# Bodies that are not parsed here.

_SHAPE = re.compile(rb'"shape"\s*:\s*\[\s*(\d{1,12})\s*[,\]]')
_PARAMETERS = re.compile(rb'"parameters"\s*:\s*\{([^{}]{0,1024})\}')
_PRIORITY = re.compile(rb'"priority"\s*:\s*(\d{1,9})\b')
_TIMEOUT = re.compile(rb'"timeout"\s*:\s*(\d{1,15})\b')
_LIST_OF_TEXTS = re.compile(rb'"inputs"\s*:\s*\[')
_LIST_OF_INSTANCES = re.compile(rb'"instances"\s*:\s*\[')


def _large_v2(text: Body, total: int) -> Peek:
    edges = (bytes(text[:WINDOW]), bytes(text[-WINDOW:]))
    rows = next((int(found[1]) for edge in edges if (found := _SHAPE.search(edge))), 1)
    if rows > total:
        raise _too_many("inputs[0].shape")
    parameters = [found[1] for edge in edges for found in _PARAMETERS.finditer(edge)]
    return Peek(max(1, rows), _first(_PRIORITY, parameters), _first(_TIMEOUT, parameters))


def _first(pattern: re.Pattern[bytes], texts: list[bytes]) -> int:
    return next((int(found[1]) for text in texts if (found := pattern.search(text))), 0)


def _estimate_items(body: Body, start: re.Pattern[bytes]) -> int:
    """How many items a list of a large body has, if all are as long as the first."""
    head = bytes(body[:WINDOW])
    found = start.search(head)
    if found is None:
        return 1
    return max(1, len(body) // _length_of_first(head[found.end() :]))


def _length_of_first(text: bytes) -> int:
    """Bytes up to the comma after the first item; all that there is if it does not end here."""
    hidden = _STRINGS.sub(lambda string: b"s" * len(string[0]), text)
    depth = 0
    for position, char in enumerate(hidden):
        if char in b"[{":
            depth += 1
        elif char in b"]}":
            depth -= 1
        elif char == 0x2C and depth == 0:
            return position + 1
    return SMALL
