"""Bytes into frames: the preface, frames cut by slicing, frames that a read cut in two.

The base of `Connection`, which gives frames their meaning. However the peer's bytes are split into reads, the same
frames come out; at most one frame's bytes are kept between reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from shoal.core.wire.http2 import codes, frames
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, protocol_error

_unpack = frames.HEADER.unpack_from


class FrameLoop(ABC):
    """Cuts a stream of bytes into frames.

    Args:
        preface: what the peer must send first, if it is the client.

    Attributes:
        closed: no frame is read any more.
        partials: frames so far that a read cut in two; while it stays the same, `partial` is about the same frame.
    """

    def __init__(self, preface: bytes) -> None:
        self.closed = False
        self.partials = 0
        self._preface = preface
        self._partial = bytearray()

    @property
    def partial(self) -> bool:
        """Whether the peer is in the middle of a frame, or of the preface."""
        return bool(self._partial or self._preface)

    @abstractmethod
    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Handle one frame.

        Raises:
            ConnectionFault: the connection must be given up.
        """

    def _feed(self, data: bytes) -> None:
        """Handle all frames that are whole with these bytes.

        Raises:
            ConnectionFault: the connection must be given up.
        """
        if self._preface:
            data = self._read_preface(data)
        self._cut(data, self._complete(data) if self._partial else 0)

    def _read_preface(self, data: bytes) -> bytes:
        size = min(len(data), len(self._preface))
        if data[:size] != self._preface[:size]:
            raise protocol_error("not the preface of HTTP/2")
        self._preface = self._preface[size:]
        return data[size:]

    def _complete(self, data: bytes) -> int:
        """Finish the frame that the last read cut through; returns how much of `data` that took."""
        partial = self._partial
        taken = max(0, frames.HEADER_SIZE - len(partial))
        partial += data[:taken]
        if len(partial) < frames.HEADER_SIZE:
            return len(data)
        size = frames.HEADER_SIZE + _checked(int.from_bytes(partial[:3], "big"))
        rest = size - len(partial)
        partial += data[taken : taken + rest]
        if len(partial) == size:
            self._partial = bytearray()
            self._cut(bytes(partial), 0)
        return min(len(data), taken + rest)

    def _cut(self, data: bytes, at: int) -> None:
        """Handle all whole frames from `at` on and keep the rest. This is the hottest loop."""
        end = len(data)
        while end - at >= 9 and not self.closed:
            high, low, kind, flags, stream_id = _unpack(data, at)
            length = _checked(high << 8 | low) if high >= 64 else high << 8 | low
            start = at + 9
            if end - start < length:
                break
            at = start + length
            self._on_frame(kind, flags, stream_id & codes.LARGEST_STREAM_ID, data[start:at])
        if at < end:
            self._partial += data[at:]
            self.partials += 1


def _checked(length: int) -> int:
    if length > codes.DEFAULT_FRAME_SIZE:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "frame larger than MAX_FRAME_SIZE")
    return length
