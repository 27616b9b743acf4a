"""What batching must know of a `ModelInferRequest`, read by walking over its fields, tensors untouched.

Protobuf is a list of (tag, length, bytes), so the walk jumps over everything large; nothing is copied and a message of
600 KB costs what a small one costs. Serialisers write fields in the order of their numbers: name, version, id,
parameters, inputs, then raw contents. The walk relies on that and ends at the raw contents, or after `MAX_FIELDS`; a
message in another order is still served, with a rough weight and without its `priority` and `timeout`.
"""

from __future__ import annotations

import math

from google.protobuf.message import DecodeError

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput
from shoal.serving.gateway.peek import MAX_DIMENSIONS, Peek

MAX_FIELDS = 64
MEMO = 1024
"""Beginnings of messages that are remembered; when there are more, remembering starts again."""
MEMO_BYTES = 1024

_NAME, _VERSION, _PARAMETERS, _INPUTS, _RAW = 0x0A, 0x12, 0x22, 0x2A, 0x3A
_SHAPE_PACKED, _SHAPE_ONE = 0x1A, 0x18


def model(message: bytes, default: str = "") -> tuple[str, str, int]:
    """Name and version of the model, and where the fields after them begin (0 if they do not come first).

    Args:
        default: the name of a message that has none; "" to refuse it.

    Raises:
        InvalidInput: malformed, or there is no name among the first `MAX_FIELDS` fields.
    """
    if message[:1] != b"\x0a":
        return *_search_model(message, default), 0
    name, at = _text(message, 1)
    version = ""
    if message[at : at + 1] == b"\x12":
        version, at = _text(message, at + 1)
    return name, version, at


def _search_model(message: bytes, default: str) -> tuple[str, str]:
    found = {_NAME: default, _VERSION: ""}
    at, end = 0, len(message)
    try:
        for _ in range(MAX_FIELDS):
            if at >= end:
                break
            tag = message[at]
            if tag in found:
                found[tag], at = _text(message, at + 1)
            else:
                _, at = _span(message, at, end)
    except IndexError:
        raise _cut() from None
    if not found[_NAME]:
        raise InvalidInput("the message has no model_name", field="model_name")
    return found[_NAME], found[_VERSION]


class Peeks:
    """Looks at requests, and remembers what stood before the raw tensors: most requests differ only in those.

    Equal bytes in front of the raw contents, in a message of equal length, are the same fields: the walk over them is
    a function of these bytes alone.
    """

    __slots__ = ("_ends", "_known")

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._known: dict[bytes, Peek] = {}

    def request(self, message: bytes, at: int) -> Peek:
        """See the function `request`."""
        size = len(message)
        end = self._ends.get(size, 0)
        if end > at and message[end] == _RAW:
            known = self._known.get(message[at:end])
            if known is not None:
                return known
        seen, end = _walk(message, at)
        if at < end < size and end - at <= MEMO_BYTES and message[end] == _RAW:
            if len(self._known) >= MEMO:
                self._known.clear()
                self._ends.clear()
            self._ends[size] = end
            self._known[message[at:end]] = seen
        return seen


def request(message: bytes, at: int) -> Peek:
    """Look at the fields from `at` on.

    Raises:
        InvalidInput: malformed, or shapes that cannot be.
    """
    return _walk(message, at)[0]


def _walk(message: bytes, at: int) -> tuple[Peek, int]:
    """What was seen, and where the walk ended."""
    rows, priority, timeout = 0, 0, 0
    end = len(message)
    try:
        for _ in range(MAX_FIELDS):
            if at >= end:
                break
            tag = message[at]
            if tag == _RAW:
                break
            start, at = _span(message, at, end)
            if tag == _INPUTS:
                seen = _rows(message, start, at, end)
                rows = rows or seen
            elif tag == _PARAMETERS:
                key, number = _parameter(message[start:at])
                priority = number if key == "priority" else priority
                timeout = number if key == "timeout" else timeout
    except IndexError:
        raise _cut() from None
    return Peek(rows or 1, priority, timeout), at


def _span(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the value of the field at `at`; what comes next begins at its end."""
    tag = message[at]
    at += 1
    if tag & 0x80:
        tag, at = _varint(message, at - 1)
    wire = tag & 7
    if wire == 2:
        length = message[at]
        at += 1
        if length & 0x80:
            length, at = _varint(message, at - 1)
        stop = at + length
    elif wire == 0:
        _, stop = _varint(message, at)
    elif wire == 5:
        stop = at + 4
    elif wire == 1:
        stop = at + 8
    else:
        raise InvalidInput("the message is not valid protobuf")
    if stop > end:
        raise _cut()
    return at, stop


def _rows(message: bytes, at: int, end: int, total: int) -> int:
    """The first dimension of the input tensor in these bytes; at least 1."""
    shape: list[int] = []
    for _ in range(MAX_FIELDS):
        if at >= end:
            break
        tag = message[at]
        start, at = _span(message, at, end)
        if tag == _SHAPE_PACKED:
            shape += _packed(message, start, at)
            break
        if tag == _SHAPE_ONE:
            shape.append(_varint(message, start)[0])
    return _checked(shape, total) if shape else 1


def _packed(message: bytes, at: int, end: int) -> list[int]:
    if end - at > MAX_DIMENSIONS * 10:
        raise _bad_shape(f"has more than {MAX_DIMENSIONS} dimensions")
    numbers = []
    while at < end:
        number = message[at]
        at += 1
        if number & 0x80:
            number, at = _varint(message, at - 1)
        numbers.append(number)
    return numbers


def _checked(shape: list[int], total: int) -> int:
    if len(shape) > MAX_DIMENSIONS:
        raise _bad_shape(f"has more than {MAX_DIMENSIONS} dimensions")
    if max(shape) >= 1 << 63:
        raise _bad_shape("has a negative dimension")
    if math.prod(shape) > total or shape[0] > total:  # the product may be 0
        raise _bad_shape("has more elements than the message has bytes")
    return shape[0] or 1


def _parameter(entry: bytes) -> tuple[str, int]:
    """Key and whole number of an entry of the parameters; 0 for what is not a whole number."""
    if b"priority" not in entry and b"timeout" not in entry:
        return "", 0
    try:
        parsed = pb.ModelInferRequest.FromString(b"\x22" + _length(len(entry)) + entry)
    except DecodeError as error:
        raise InvalidInput("the message is not valid protobuf", field="parameters") from error
    if not parsed.parameters:
        return "", 0  # an entry with fields that nobody knows is kept as one of those
    ((key, value),) = parsed.parameters.items()
    kind = value.WhichOneof("parameter_choice")
    number = getattr(value, kind) if kind in ("int64_param", "uint64_param") else -1
    if key in ("priority", "timeout") and number < 0:
        raise InvalidInput(f"{key} is not a whole number of at least 0", field=f"parameters.{key}")
    return key, number


def _length(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(message: bytes, at: int) -> tuple[str, int]:
    try:
        length, at = _varint(message, at)
        end = at + length
        if end > len(message):
            raise _cut()
        return message[at : min(end, at + 1024)].decode(), end
    except IndexError:
        raise _cut() from None
    except UnicodeDecodeError:
        raise InvalidInput("model_name and model_version are UTF-8", field="model_name") from None


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise InvalidInput("the message is not valid protobuf")


def _cut() -> InvalidInput:
    return InvalidInput("the message ends inside a field")


def _bad_shape(what: str) -> InvalidInput:
    return InvalidInput(f"the shape {what}", field="inputs.shape")
