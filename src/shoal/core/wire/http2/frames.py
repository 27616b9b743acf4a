"""Frames of HTTP/2 as bytes, and the small payloads inside them.

    u24 length | u8 type | u8 flags | u32 stream id (highest bit reserved) | payload

Encoders return whole frames. The one reader of frames is the loop in `Connection`, which cuts by slicing; the payloads
that need taking apart (padding, settings) are taken apart here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from shoal.core.wire.http2 import codes
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, protocol_error

HEADER = struct.Struct(">HBBBI")
"""Length in two parts (high 16 bits, low 8), type, flags, stream id."""
HEADER_SIZE = HEADER.size

_U32 = struct.Struct(">I")
_SETTING = struct.Struct(">HI")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """One frame."""
    length = len(payload)
    return HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def settings(values: Mapping[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(codes.SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values.items()))


SETTINGS_ACK = frame(codes.SETTINGS, codes.ACK, 0)


def window_update(stream_id: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(codes.WINDOW_UPDATE, 0, stream_id, _U32.pack(increment))


def rst_stream(stream_id: int, code: int) -> bytes:
    """A RST_STREAM frame."""
    return frame(codes.RST_STREAM, 0, stream_id, _U32.pack(code))


def ping(opaque: bytes, ack: bool = False) -> bytes:
    """A PING frame with its eight opaque bytes."""
    return frame(codes.PING, codes.ACK if ack else 0, 0, opaque)


def goaway(last_stream_id: int, code: int, reason: str = "") -> bytes:
    """A GOAWAY frame; the reason is text for whoever debugs the peer."""
    return frame(codes.GOAWAY, 0, 0, struct.pack(">II", last_stream_id, code) + reason.encode()[:256])


def headers(stream_id: int, block: bytes, end_stream: bool, frame_size: int) -> bytes:
    """A HEADERS frame, followed by CONTINUATION frames where the block exceeds the peer's frame size."""
    flags = codes.END_STREAM if end_stream else 0
    if len(block) <= frame_size:
        return frame(codes.HEADERS, flags | codes.END_HEADERS, stream_id, block)
    parts = [block[at : at + frame_size] for at in range(0, len(block), frame_size)]
    out = [frame(codes.HEADERS, flags, stream_id, parts[0])]
    out += [frame(codes.CONTINUATION, 0, stream_id, part) for part in parts[1:-1]]
    out.append(frame(codes.CONTINUATION, codes.END_HEADERS, stream_id, parts[-1]))
    return b"".join(out)


def unpad(payload: bytes) -> bytes:
    """The payload of a PADDED frame without its padding.

    Raises:
        ConnectionFault: the padding is longer than the payload.
    """
    if not payload or payload[0] >= len(payload):
        raise protocol_error("padding longer than the frame")
    return payload[1 : len(payload) - payload[0]]


def header_block(flags: int, stream_id: int, payload: bytes) -> bytes:
    """The header block of a HEADERS frame: without padding, without the (ignored) priority."""
    if flags & codes.PADDED:
        payload = unpad(payload)
    if flags & codes.PRIORITY_FLAG:
        if len(payload) < 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
        if _U32.unpack_from(payload)[0] & codes.LARGEST_STREAM_ID == stream_id:
            raise protocol_error("a stream cannot depend on itself")
        payload = payload[5:]
    return payload


def parse_u32(payload: bytes) -> int:
    """The one number of a RST_STREAM or WINDOW_UPDATE payload, reserved bit left as it is.

    Raises:
        ConnectionFault: the payload is not four bytes long.
    """
    if len(payload) != 4:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "payload is not four bytes")
    return int.from_bytes(payload, "big")


def parse_goaway(payload: bytes) -> tuple[int, int, bytes]:
    """Last stream id, error code and debug text of a GOAWAY payload."""
    if len(payload) < 8:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
    last, code = struct.unpack_from(">II", payload)
    return last & codes.LARGEST_STREAM_ID, code, payload[8:]


def parse_settings(payload: bytes) -> Iterable[tuple[int, int]]:
    """The (identifier, value) pairs of a SETTINGS payload, checked against what RFC 9113 allows.

    Raises:
        ConnectionFault: a value is out of its range, or the payload is no list of pairs.
    """
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of an odd length")
    pairs = list(_SETTING.iter_unpack(payload))
    for key, value in pairs:
        if key == codes.ENABLE_PUSH and value > 1:
            raise protocol_error("ENABLE_PUSH is neither 0 nor 1")
        if key == codes.INITIAL_WINDOW_SIZE and value > codes.LARGEST_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE too large")
        if key == codes.MAX_FRAME_SIZE and not codes.DEFAULT_FRAME_SIZE <= value <= codes.LARGEST_FRAME_SIZE:
            raise protocol_error("MAX_FRAME_SIZE out of range")
    return pairs
