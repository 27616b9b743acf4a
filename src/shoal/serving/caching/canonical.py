"""V2 requests without what does not change the answer, in one spelling. Pure.

In JSON, the id, `priority` and `timeout` are taken out, keys are sorted and white space goes; numbers are written as
they parse. The result is a valid request that asks for the same. What cannot be told with certainty (a key twice, a key
that nobody knows, a negative zero without a point) has no canonical form: such a request is only equal to itself. In
protobuf only the id is cut out.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from shoal.core.wire import json_data

MAX_FIELDS = 64
"""Fields of a protobuf message that are looked at; with more of them the message is left as it is."""

_NAME, _VERSION, _ID = 0x0A, 0x12, 0x1A
_MINUS_ZERO = re.compile(rb"-0(?![\d.eE])")
_LEADING_ID = re.compile(rb'\{\s*"id"\s*:\s*("[^"\\\x00-\x1f]*")\s*,\s*(?=")')
_IRRELEVANT = ("priority", "timeout")


class _Request(msgspec.Struct):
    inputs: Any
    id: str | UnsetType | None = UNSET
    parameters: dict[str, Any] | UnsetType | None = UNSET
    outputs: Any = UNSET


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_decode_text = msgspec.json.Decoder(str).decode


def json(text: bytes) -> tuple[bytes, str | None] | None:
    """The canonical form of a V2 request's JSON, and its id; None if it has none."""
    if b"-0" in text and _MINUS_ZERO.search(text):
        return None
    try:
        request = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    id, removed = _take_id(request)
    removed += _take_parameters(request)
    canonical = _encode(request)
    if text.count(b":") != canonical.count(b":") + removed:
        return None  # a key twice, or one that was skipped
    return canonical, id


def _take_id(request: _Request) -> tuple[str | None, int]:
    """The id, and how many colons have gone with it."""
    id = request.id
    if isinstance(id, UnsetType):
        return None, 0
    request.id = UNSET
    return id, _colons(id)


def _take_parameters(request: _Request) -> int:
    """Take out what does not change the answer; how many colons have gone."""
    parameters = request.parameters
    if isinstance(parameters, UnsetType):
        return 0
    removed = sum(_colons(parameters.pop(name)) for name in _IRRELEVANT if name in parameters) if parameters else 0
    if not parameters:
        request.parameters = UNSET
        removed += 1
    return removed


def _colons(value: object) -> int:
    """How many colons a key without one has brought with it: its own, and those in its value."""
    return 1 + json_data.encode(value).count(b":")


def without_leading_id(text: bytes) -> tuple[bytes, str] | None:
    """JSON that starts with its id, without it, and the id; None if there is any doubt. It is quick on large bodies."""
    match = _LEADING_ID.match(text)
    if match is None:
        return None
    rest = b"{" + text[match.end() :]
    if b'"id"' in rest or b"\\" in rest:
        return None
    try:
        return rest, _decode_text(match[1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def proto(message: bytes) -> tuple[bytes, str | None]:
    """A `ModelInferRequest` without its id, and the id; as it is if the id is not where serialisers put it."""
    try:
        start = _after_names(message)
        if message[start : start + 1] != b"\x1a":
            return message, None
        begin, end = _span(message, start)
        if _has_another_id(message, end):
            return message, None
        return message[:start] + message[end:], message[begin:end].decode() or None
    except (IndexError, UnicodeDecodeError):
        return message, None


def answer_has_id(answer: bytes) -> bool:
    """Whether a `ModelInferResponse` has an id where serialisers put it."""
    try:
        start = _after_names(answer)
    except IndexError:
        return False
    return answer[start : start + 1] == b"\x1a"


def _after_names(message: bytes) -> int:
    at = 0
    for tag in (_NAME, _VERSION):
        if message[at : at + 1] == bytes((tag,)):
            _, at = _span(message, at)
    return at


def _has_another_id(message: bytes, at: int) -> bool:
    """Whether there is an id among the fields from `at` on, or may be."""
    for _ in range(MAX_FIELDS):
        if at >= len(message):
            return False
        if message[at] == _ID:
            return True
        _, at = _span(message, at)
    return True


def _span(message: bytes, at: int) -> tuple[int, int]:
    """Begin and end of the value of the field at `at`."""
    tag, at = _varint(message, at)
    wire = tag & 7
    if wire == 2:
        length, at = _varint(message, at)
    elif wire == 0:
        length = _varint(message, at)[1] - at
    elif wire in (1, 5):
        length = 8 if wire == 1 else 4
    else:
        raise IndexError
    if at + length > len(message):
        raise IndexError
    return at, at + length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 70:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise IndexError
