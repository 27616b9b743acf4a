"""Streams of one connection: their frames, their opening, their closing.

The base of `Connection`, which adds the frames of the connection as a whole. It keeps the order in which things may
happen to a stream, whatever frames come, and remembers unfinished header blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shoal.core.wire.http2 import codes, frames
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, StreamFault, protocol_error
from shoal.core.wire.http2.fields import FieldDecoder
from shoal.core.wire.http2.guards import Guards
from shoal.core.wire.http2.heads import RequestHead, read_response, read_trailers, request_reader
from shoal.core.wire.http2.loop import FrameLoop
from shoal.core.wire.http2.receiver import Limits, Receiver
from shoal.core.wire.http2.sender import Sender
from shoal.core.wire.http2.stream import Stream

MAX_CONTINUATIONS = 32
HARD_HEADER_FACTOR = 4
"""How far beyond `header_bytes` a header block may go before the connection is given up, not the request refused."""

_Accept = Callable[[Any, int, RequestHead], Stream]


class Multiplex(FrameLoop):
    """The streams of a connection; see `Connection` for the arguments and attributes."""

    def __init__(
        self,
        limits: Limits,
        wake: Callable[[], None],
        accept: _Accept | None,
        now: float,
    ) -> None:
        super().__init__(codes.PREFACE if accept else b"")
        self.limits = limits
        self.now = now
        self.streams: dict[int, Stream] = {}
        self.draining = self.drained = False
        self.peer_streams = 100
        self.block_since: float | None = None
        self.guards = Guards()
        self.sender = Sender(wake, self.close_local)
        self.receiver = Receiver(limits, self.sender.write)
        self._accept = accept
        self._last_id = 0
        self._next_id = 1
        self._only = codes.SETTINGS
        self._block: list[bytes] = []
        self._block_start = (0, 0)
        fields = FieldDecoder(HARD_HEADER_FACTOR * limits.header_bytes)
        self._requests = fields.memo(request_reader(limits.header_bytes, limits.header_count))
        self._known_requests = self._requests.known
        self._responses = fields.memo(read_response)
        self._trailers = fields.memo(read_trailers)

    def _useless(self) -> None:
        self.guards.useless.spend(self.now)

    # Frames

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self.receiver.arrived(size)
        stream = self.streams.get(stream_id)
        if stream is None or stream.remote_closed:
            self._on_stray_data(stream_id, stream)
            return
        self.receiver.charge(stream, size)
        if flags & codes.PADDED:
            payload = frames.unpad(payload)
        if stream.expected >= 0:
            _check_length(stream, len(payload), flags & codes.END_STREAM)
        if flags & codes.END_STREAM:
            if stream.held:
                self.receiver.release(stream)
            self._end_remote(stream, payload)
            return
        if not payload:
            self._useless()
        if stream.local_closed and self._accept:
            return  # it is answered: what still comes is dropped, and gets no credit
        stream.progress = self.now
        if self.receiver.hold(stream, size):
            stream.on_data(payload, False)
        else:
            stream.on_overflow()

    def _end_remote(self, stream: Stream, payload: bytes) -> None:
        stream.remote_closed = True
        stream.on_data(payload, True)
        if stream.local_closed:
            self._remove(stream)

    def _on_stray_data(self, stream_id: int, stream: Stream | None) -> None:
        """Data on a stream that is not open: normal after our reset, an error on one that never was."""
        if stream is not None:
            raise StreamFault(ErrorCode.STREAM_CLOSED, "data after the end of the stream")
        if self._is_idle(stream_id):
            raise protocol_error("data on an idle stream")

    def _is_idle(self, stream_id: int) -> bool:
        """Whether the stream was never opened."""
        used = self._last_id if self._accept else self._next_id - 2
        return stream_id > used or not stream_id & 1

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (codes.PADDED | codes.PRIORITY_FLAG):
            payload = frames.header_block(flags, stream_id, payload)
        if flags & codes.END_HEADERS:
            self._on_block(stream_id, flags & codes.END_STREAM, payload)
            return
        self._block = [payload]
        self._block_start = stream_id, flags & codes.END_STREAM
        self._only = codes.CONTINUATION
        self.block_since = self.now

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block or stream_id != self._block_start[0]:
            raise protocol_error("CONTINUATION out of place")
        self._block.append(payload)
        size = sum([len(part) for part in self._block])
        if len(self._block) > MAX_CONTINUATIONS or size > HARD_HEADER_FACTOR * self.limits.header_bytes:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers far beyond the limit")
        if flags & codes.END_HEADERS:
            block, self._block = b"".join(self._block), []
            self._only = 0
            self.block_since = None
            self._on_block(stream_id, self._block_start[1], block)

    def _on_block(self, stream_id: int, end: int, block: bytes) -> None:
        if self._accept and stream_id > self._last_id:
            self._open(self._accept, stream_id, end, block)
            return
        stream = self.streams.get(stream_id)
        if stream is not None and not stream.remote_closed:
            self._on_later_block(stream, end, block)
            return
        if self._is_idle(stream_id):
            raise protocol_error("headers on an idle stream")
        self._useless()
        self._trailers.decode(block)  # the dynamic table must see every block, wanted or not
        if stream is not None:
            raise StreamFault(ErrorCode.STREAM_CLOSED, "headers after the end of the stream")

    def _on_later_block(self, stream: Stream, end: int, block: bytes) -> None:
        """The head of a response, or trailers."""
        if not self._accept and not stream.headed:
            head = self._responses.decode(block)
            stream.headed = head.status >= 200
            stream.expected = -1 if end else head.content_length
            stream.on_headers(head)
            if end and not stream.remote_closed:
                self._end_remote(stream, b"")
            return
        trailers = self._trailers.decode(block)
        if not end or stream.expected > 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "trailers that do not end the body")
        if stream.held:
            self.receiver.release(stream)
        stream.remote_closed = True
        stream.on_trailers(trailers)
        if stream.local_closed:
            self._remove(stream)

    # Opening and closing

    def _open(self, accept: _Accept, stream_id: int, end: int, block: bytes) -> None:
        if not stream_id & 1:
            raise protocol_error("a client's stream has an odd number")
        self._last_id = stream_id
        head = self._known_requests.get(block) or self._requests.decode(block)
        if self.drained:
            return
        if len(self.streams) >= self.limits.streams:
            raise StreamFault(ErrorCode.REFUSED_STREAM, "too many concurrent streams")
        if end and head.content_length > 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "body and content-length differ")
        stream = self.streams[stream_id] = accept(self, stream_id, head)
        stream.on_open()
        if end and not stream.remote_closed:
            self._end_remote(stream, b"")

    def start(self, stream: Stream, block: bytes, end: bool = False) -> None:
        """Open a client's stream with its head; the caller has seen to `capacity`."""
        stream_id, self._next_id = self._next_id, self._next_id + 2
        stream._begin(self, stream_id, -1)
        self.streams[stream_id] = stream
        stream.send_headers(block, end)

    @property
    def capacity(self) -> int:
        """How many more streams a client may open now."""
        if self.closed or self.draining or self._next_id > codes.LARGEST_STREAM_ID:
            return 0
        return max(0, self.peer_streams - len(self.streams))

    def close_local(self, stream: Stream) -> None:
        """Our last frame on the stream has been sent."""
        stream.local_closed = True
        self.guards.resets.earn()
        if stream.remote_closed:
            self._remove(stream)
        elif self._accept:
            stream.on_closed_early()

    def reset(self, stream: Stream, code: int) -> None:
        """Give a stream up; it hears nothing of it."""
        if stream.stream_id in self.streams:
            self._remove(stream)
            self.sender.write(frames.rst_stream(stream.stream_id, code))

    def abandon(self, stream: Stream, code: int) -> None:
        """Give a stream up and tell it by `on_reset`."""
        if stream.stream_id in self.streams:
            self.sender.write(frames.rst_stream(stream.stream_id, code))
            self._lose(stream, code)

    def _remove(self, stream: Stream) -> None:
        if self.streams.pop(stream.stream_id, None) is None:
            return
        stream.local_closed = stream.remote_closed = True
        if stream.queue is not None:
            self.sender.forget(stream)
        self.receiver.forget(stream)

    def _stream_fault(self, stream_id: int, fault: StreamFault) -> None:
        """Resets that the peer provokes cost its allowance like those that it sends."""
        self.guards.resets.spend(self.now)
        stream = self.streams.get(stream_id)
        self.sender.write(frames.rst_stream(stream_id, fault.code))
        if stream is not None:
            self._lose(stream, fault.code)

    def _lose(self, stream: Stream, code: int) -> None:
        self._remove(stream)
        stream.on_reset(code)

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        code = frames.parse_u32(payload)
        if self._is_idle(stream_id):
            raise protocol_error("reset of an idle stream")
        stream = self.streams.get(stream_id)
        if self._accept:
            self.guards.resets.spend(self.now)
        if stream is not None:
            self._lose(stream, code)


def _check_length(stream: Stream, size: int, end: int) -> None:
    stream.expected -= size
    if stream.expected < 0 or (end and stream.expected):
        raise StreamFault(ErrorCode.PROTOCOL_ERROR, "body and content-length differ")
