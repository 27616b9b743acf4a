"""The V1 protocol: ``instances`` (rows) or ``inputs`` (columns) in, ``predictions`` out.

V1 does not say names and datatypes: whole numbers are INT64, others FP64, text is BYTES, ``{"b64": "..."}`` are bytes;
the model's signature makes of them what it needs, by the same rules as for V2. Rows may be objects with a value per
input. With several outputs a prediction is an object too: per row for ``instances``, of columns for ``inputs``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.wire import json_data, json_guard, shapes
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead

_KINDS: dict[frozenset[type], str] = {
    frozenset((int,)): "INT64",
    frozenset((float,)): "FP64",
    frozenset((int, float)): "FP64",
    frozenset((bool,)): "BOOL",
    frozenset((str,)): "BYTES",
    frozenset((bytes,)): "BYTES",
    frozenset((str, bytes)): "BYTES",
}


_ABSENT = msgspec.Raw(b"")


class _RequestJson(msgspec.Struct):
    instances: msgspec.Raw = _ABSENT
    inputs: msgspec.Raw = _ABSENT
    signature_name: str | None = None


_decode_request = msgspec.json.Decoder(_RequestJson).decode
_decode_any = msgspec.json.Decoder().decode


class Decoder:
    """Decodes requests and remembers the heads of those with one unnamed tensor."""

    def __init__(self) -> None:
        self._memo: Memo[tuple[bool, str, tuple[int, ...]], RequestHead] = Memo()

    def decode(self, body: bytes) -> Decoded:
        """Decode a request.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        json_guard.check_size(body)
        message = json_guard.parse(_decode_request, body)
        columns = message.instances is _ABSENT
        text, at = (message.inputs, "inputs") if columns else (message.instances, "instances")
        if columns == (message.inputs is _ABSENT):
            raise InvalidInput("a V1 request has either instances or inputs", field=at)
        value = json_guard.parse(_decode_any, memoryview(text), at=at)
        named = _named(value, columns=columns, at=at)
        if body.count(b":") != 1:
            json_guard.scan(body)
        if named is not None:
            parts = [_read(each, name, f"{at}.{name}") for name, each in named.items()]
            return Decoded(RequestHead(tuple(head for head, _ in parts), columns=columns), [data for _, data in parts])
        head, data = _read(value, "", at)
        key = (columns, head.datatype, head.shape)
        known = self._memo.get(key)
        return Decoded(known or self._memo.put(key, RequestHead((head,), columns=columns)), (data,))


def _named(value: Any, *, columns: bool, at: str) -> dict[str, Any] | None:
    """The value of each input, or None if the request names none."""
    if columns and isinstance(value, dict) and not _is_b64(value):
        return value or None
    if columns or not isinstance(value, list) or not value or not isinstance(value[0], dict) or _is_b64(value[0]):
        return None
    names = value[0].keys()
    for row, each in enumerate(value):
        if not isinstance(each, dict) or each.keys() != names:
            raise InvalidInput("all instances must have the same keys", field=f"{at}[{row}]")
    return {name: [each[name] for each in value] for name in names} or None


def _is_b64(value: dict[str, Any]) -> bool:
    return len(value) == 1 and isinstance(value.get("b64"), str)


def _read(value: Any, name: str, at: str) -> tuple[TensorHead, list[Any]]:
    """Nested lists as a head and a flat list."""
    if not isinstance(value, list):
        raise InvalidInput("expected an array with a value per row", field=at)
    shape, level = [len(value)], value
    while level and isinstance(level[0], list):
        size = len(level[0])
        if len(shape) == shapes.MAX_DIMENSIONS:
            raise InvalidInput(f"a tensor has at most {shapes.MAX_DIMENSIONS} dimensions", field=at)
        if any(not isinstance(each, list) or len(each) != size for each in level):
            raise InvalidInput("the arrays are not all of the same length", field=at)
        shape.append(size)
        level = list(chain.from_iterable(level))
    count = shapes.count_elements(shape, at)
    kinds = frozenset(map(type, level))
    if dict in kinds:
        level = [_from_b64(each, at) for each in level]
        kinds = frozenset(map(type, level))
    datatype = _KINDS.get(kinds)
    if datatype is None:
        raise InvalidInput("values must be all numbers, all text or all bools", field=at)
    if datatype == "INT64" and not (min(level) >= -(1 << 63) and max(level) < 1 << 63):
        raise InvalidInput("an integer is out of the range of INT64", field=at)
    return TensorHead(name, datatype, tuple(shape), count), level


def _from_b64(value: Any, at: str) -> Any:
    if not isinstance(value, dict):
        return value
    if not _is_b64(value):
        raise InvalidInput('an object inside of a tensor must be {"b64": text}', field=at)
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("b64 is not base64", field=at) from error


def encode_response(outputs: Sequence[tuple[str, Sequence[Any]]], *, columns: bool) -> bytes:
    """Predictions as JSON.

    Args:
        outputs: name and the values of its rows (numbers, text or nested lists; finite, or already text).
        columns: answer to a request in columns.
    """
    if len(outputs) == 1:
        return json_data.encode({"predictions": outputs[0][1]})
    if columns:
        return json_data.encode({"predictions": dict(outputs)})
    names = [name for name, _ in outputs]
    rows = zip(*(values for _, values in outputs), strict=True)
    return json_data.encode({"predictions": [dict(zip(names, row, strict=True)) for row in rows]})
