"""A transport without a socket: what is written is kept, and the peer is whoever calls its methods."""

from __future__ import annotations

import asyncio


class FakeTransport(asyncio.Transport):
    """Keeps what a protocol does to it.

    Attributes:
        sent: all bytes written.
        pending: bytes that the peer has not taken; set it to play a slow reader.
        reading: the protocol wants to read.
        closed: how it ended: "", "closed" or "aborted".
        ended: our side was half-closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.pending = 0
        self.reading = True
        self.closed = ""
        self.ended = False
        self.high = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closed:
            self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0

    def get_write_buffer_size(self) -> int:
        return self.pending

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return bool(self.closed)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"

    def take(self) -> bytes:
        """What was written since the last call."""
        sent = bytes(self.sent)
        self.sent.clear()
        return sent
