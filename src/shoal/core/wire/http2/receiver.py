"""The receiving side of flow control: how much the peer may send, and how much unfinished body a connection may hold.

Credit is given back in batches while bodies come in, early enough that a large one never waits for it. Two things hold
credit of a *stream* back: unfinished bodies beyond `held_bytes` in sum (then only the oldest of them goes on, so that
one at least completes), and a streaming call whose answers the client does not read. A peer that goes on nevertheless,
with many streams at once, has the stream refused that crosses twice that sum and a connection window. The credit of the
*connection* is always given back, as otherwise streams could starve each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.core.wire.http2 import frames
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, StreamFault

if TYPE_CHECKING:
    from shoal.core.wire.http2.stream import Stream

UNREAD_BYTES = 256 * 1024
"""Queued answer of a streaming call above which its client gets no more credit to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may cost; see `WireLimits` of the gateway for the meanings of the first three.

    Attributes:
        header_bytes: decoded size of a header list.
        header_count: fields in it.
        streams: concurrent streams that the peer may open.
        stream_window: bytes a stream may have on its way, or in our hands without credit given back.
        connection_window: the same for all streams together.
        held_bytes: unfinished bodies of a connection; at least one body of the largest size should fit.
    """

    header_bytes: int = 64 * 1024
    header_count: int = 256
    streams: int = 256
    stream_window: int = 1024 * 1024
    connection_window: int = 16 * 1024 * 1024
    held_bytes: int = 64 * 1024 * 1024


class Receiver:
    """Windows and memory of one connection's receiving side."""

    __slots__ = ("_credit", "_limits", "_most", "_parked", "_stream_step", "_window", "_write", "held", "holders")

    def __init__(self, limits: Limits, write: Callable[[bytes], None]) -> None:
        self._limits = limits
        self._write = write
        self._window = limits.connection_window
        self._credit = 0
        self._stream_step = limits.stream_window // 4
        self._most = 2 * limits.held_bytes + limits.connection_window
        self._parked: dict[int, Stream] = {}
        self.held = 0
        self.holders: dict[int, Stream] = {}

    def arrived(self, size: int) -> None:
        """Count the flow-controlled bytes of a DATA frame on any stream, alive or not.

        Raises:
            ConnectionFault: the peer sent more than it may.
        """
        if size > self._window:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection window allows")
        self._window -= size
        self._credit += size
        if self._credit >= self._limits.connection_window // 4:
            self._write(frames.window_update(0, self._credit))
            self._window += self._credit
            self._credit = 0

    def hold(self, stream: Stream, size: int) -> bool:
        """Count a part of an unfinished body and give credit for it; False if it must be refused."""
        stream.credit += size
        if size and not stream.held:
            self.holders[stream.stream_id] = stream
        stream.held += size
        self.held += size
        if stream.credit >= self._stream_step:
            self.give_credit(stream)
        return self.held <= self._most

    def charge(self, stream: Stream, size: int) -> None:
        """Take the bytes of a DATA frame off the window of its stream.

        Raises:
            StreamFault: the peer sent more than it may.
        """
        if size > stream.receive_window:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "more data than the stream window allows")
        stream.receive_window -= size

    def is_parked(self, stream: Stream) -> bool:
        """Whether it is we who hold the stream up."""
        return stream.stream_id in self._parked

    def give_credit(self, stream: Stream) -> None:
        """Send WINDOW_UPDATE for a stream, or park it until there is room."""
        if stream.remote_closed or not stream.credit:
            return
        if stream.queued > UNREAD_BYTES or self._must_wait(stream):
            self._parked[stream.stream_id] = stream
            return
        self._parked.pop(stream.stream_id, None)
        self._write(frames.window_update(stream.stream_id, stream.credit))
        stream.receive_window += stream.credit
        stream.credit = 0

    def _must_wait(self, stream: Stream) -> bool:
        if self.held <= self._limits.held_bytes:
            return False
        return next(iter(self.holders.values()), stream) is not stream

    def release(self, stream: Stream) -> None:
        """The stream's bytes are consumed, or it is gone: others may go on."""
        if stream.held:
            self.held -= stream.held
            stream.held = 0
            del self.holders[stream.stream_id]
        for parked in list(self._parked.values()):
            self.give_credit(parked)

    def on_drained(self, stream: Stream) -> None:
        """The client has read all that was queued for it."""
        if stream.stream_id in self._parked:
            self.give_credit(stream)

    def forget(self, stream: Stream) -> None:
        """The stream is gone."""
        self._parked.pop(stream.stream_id, None)
        if stream.held or self._parked:
            self.release(stream)
