"""Protobuf below the messages: take a `bytes` field out as views, put one in, without going through a message.

Messages may be put together by putting their bytes one after the other (that is how protobuf merges), so a large field
need not be part of the message that is parsed or serialised.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.errors import InvalidInput
from shoal.core.wire.raw_data import Buffer


def cut(body: Buffer, tag: int) -> tuple[bytes, list[memoryview]]:
    """Cut one repeated `bytes` field out of the top level of a message.

    Returns:
        The message without the field, and the field's values as views of `body`.

    Raises:
        InvalidInput: it is not a message.
    """
    view = memoryview(body)
    rest: list[memoryview] = []
    found: list[memoryview] = []
    start, at, end = 0, 0, len(view)
    try:
        while at < end:
            begin = at
            key, at = _varint(view, at)
            length, at = _field_length(view, key & 7, at)
            if at + length > end:
                raise IndexError
            if key == tag:
                found.append(view[at : at + length])
                rest.append(view[start:begin])
                start = at + length
            at += length
    except IndexError as error:
        raise InvalidInput("not a valid protobuf message") from error
    rest.append(view[start:])
    return b"".join(rest), found


def _field_length(view: memoryview, wire_type: int, at: int) -> tuple[int, int]:
    if wire_type == 2:
        return _varint(view, at)
    if wire_type == 0:
        return 0, _varint(view, at)[1]
    if wire_type in (1, 5):
        return (8 if wire_type == 1 else 4), at
    raise IndexError


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = view[at]
    if value < 128:
        return value, at + 1
    value, shift = value & 127, 7
    while shift < 70:
        at += 1
        byte = view[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
    raise IndexError


def varint(value: int) -> bytes:
    """An unsigned number as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(tag: int, length: int) -> bytes:
    """What stands before a `bytes` or text field of that length."""
    return bytes((tag,)) + varint(length)


def raw_records(raws: Sequence[Buffer | None], tag: int) -> list[Buffer]:
    """Raw contents as records of a message, to be put behind its other bytes."""
    records: list[Buffer] = []
    for raw in raws:
        if raw is not None:
            records += (record(tag, len(raw)), raw)
    return records
