"""One HTTP/2 connection without a socket: bytes in, calls on streams out, bytes to send in `sender`.

The same class serves both ends. It promises: whatever the peer sends, `receive` does not raise; a broken rule ends its
stream (RST_STREAM) or the connection (GOAWAY, `closed`); every stream that was opened hears either its end or
`on_reset`, once, unless we reset it ourselves; memory is bounded by `Limits`. Time comes in with the bytes.

Order of reading: `receive` and `_on_frame`, frames of streams, opening and closing of streams, frames of the
connection, its end.
"""

from __future__ import annotations

from collections.abc import Callable

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

Accept = Callable[["Connection", int, RequestHead], Stream]
"""Makes the stream of a new request, `Stream._begin` called."""

MAX_CONTINUATIONS = 32
HARD_HEADER_FACTOR = 4
"""How far beyond `header_bytes` a header block may go before the connection is given up, not the request refused."""

_DRAIN_PING = b"draining"


class Connection(FrameLoop):
    """The state of one connection.

    Args:
        limits: what the peer may cost.
        wake: called when there is something to send after a time without.
        accept: makes streams for requests: this is the server's end. None: the client's end.

    Attributes:
        streams: the open ones by id.
        closed: nothing is read any more; what `sender` still holds should be written, then the socket closed.
        fault: why the connection was given up, or None.
        peer_streams: how many streams the peer allows to be open (client).
        draining: no new stream should be opened: GOAWAY was sent, or received by a client.
        drained: the final GOAWAY was sent; with the last stream the connection ends.
        block_since: when an unfinished header block began, or None.
    """

    def __init__(
        self, limits: Limits, wake: Callable[[], None], *, accept: Accept | None = None, now: float = 0.0
    ) -> None:
        super().__init__(codes.PREFACE if accept else b"")
        self.limits = limits
        self.now = now
        self.streams: dict[int, Stream] = {}
        self.draining = self.drained = False
        self.fault: ConnectionFault | None = None
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
        self._others = {
            codes.PRIORITY: self._on_priority,
            codes.RST_STREAM: self._on_rst_stream,
            codes.SETTINGS: self._on_settings,
            codes.PUSH_PROMISE: self._on_push_promise,
            codes.PING: self._on_ping,
            codes.GOAWAY: self._on_goaway,
            codes.WINDOW_UPDATE: self._on_window_update,
            codes.CONTINUATION: self._on_continuation,
        }
        self._greet()

    def _greet(self) -> None:
        settings = {
            codes.INITIAL_WINDOW_SIZE: self.limits.stream_window,
            codes.MAX_HEADER_LIST_SIZE: self.limits.header_bytes,
        }
        if self._accept:
            settings[codes.MAX_CONCURRENT_STREAMS] = self.limits.streams
        else:
            settings[codes.ENABLE_PUSH] = 0
            self.sender.write(codes.PREFACE)
        self.sender.write(frames.settings(settings))
        self.sender.write(frames.window_update(0, self.limits.connection_window - codes.DEFAULT_WINDOW))

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes in, at monotonic second `now`; streams hear of what they mean before this returns."""
        self.now = now
        if self.closed:
            return
        try:
            self._feed(data)
        except ConnectionFault as fault:
            self.give_up(fault)

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._only and kind != self._only:
            raise protocol_error("a frame that may not come here")
        try:
            if kind == codes.DATA:
                self._on_data(flags, stream_id, payload)
            elif kind == codes.HEADERS:
                self._on_headers(flags, stream_id, payload)
            elif kind in self._others:
                self._others[kind](flags, stream_id, payload)
            else:
                self._useless()
        except StreamFault as fault:
            self._stream_fault(stream_id, fault)

    # Frames of streams

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

    # Opening and closing of streams

    def _open(self, accept: Accept, stream_id: int, end: int, block: bytes) -> None:
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

    # Frames of the connection

    def _useless(self) -> None:
        self.guards.useless.spend(self.now)

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._useless()
        if stream_id == 0:
            raise protocol_error("priority of stream 0")
        if len(payload) != 5:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is five bytes long")

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        raise protocol_error("push is not enabled")

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._only = 0
        if stream_id:
            raise protocol_error("settings of a stream")
        if flags & codes.ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a settings ack with content")
            return
        self.guards.settings.spend(self.now)
        for key, value in frames.parse_settings(payload):
            self._apply(key, value)
        self.sender.write(frames.SETTINGS_ACK)

    def _apply(self, key: int, value: int) -> None:
        if key == codes.INITIAL_WINDOW_SIZE:
            self.sender.resize_windows(list(self.streams.values()), value)
        elif key == codes.MAX_FRAME_SIZE:
            self.sender.frame_size = value
        elif key == codes.MAX_CONCURRENT_STREAMS:
            self.peer_streams = value

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise protocol_error("ping on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING is eight bytes long")
        if not flags & codes.ACK:
            self.guards.pings.spend(self.now)
            self.sender.write(frames.ping(payload, ack=True))
        elif payload == _DRAIN_PING:
            self.finish_shutdown()

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise protocol_error("GOAWAY on a stream")
        last, _, _ = frames.parse_goaway(payload)
        if self._accept:
            return
        self.draining = True
        for stream in [each for each in self.streams.values() if each.stream_id > last]:
            self._lose(stream, ErrorCode.REFUSED_STREAM)

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        increment = frames.parse_u32(payload) & codes.LARGEST_WINDOW
        stream = self.streams.get(stream_id)
        if stream_id and stream is None:
            if self._is_idle(stream_id):
                raise protocol_error("credit for an idle stream")
            self._useless()
            return
        if not increment and stream_id:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, "credit of nothing")
        if not increment:
            raise protocol_error("credit of nothing")
        if self.sender.tiny:
            self.sender.tiny -= 1
            self._useless()
        self.sender.grow(stream, increment)

    # The end

    def shutdown(self) -> None:
        """Begin a graceful end (server): the peer learns to open no more streams; those it opens meanwhile are served.

        The final GOAWAY follows when the peer has answered a ping, or by `finish_shutdown`.
        """
        if not self.draining and not self.closed:
            self.draining = True
            self.sender.write(frames.goaway(codes.LARGEST_STREAM_ID, ErrorCode.NO_ERROR))
            self.sender.write(frames.ping(_DRAIN_PING))

    def finish_shutdown(self) -> None:
        """Send the final GOAWAY; later streams are ignored, which tells the client to try them elsewhere."""
        if self.draining and not self.drained and not self.closed:
            self.sender.write(frames.goaway(self._last_id, ErrorCode.NO_ERROR))
            self.drained = True

    def give_up(self, fault: ConnectionFault) -> None:
        """End the connection because of what the peer did: GOAWAY, and every stream is lost."""
        if not self.closed:
            self.fault = fault
            self.sender.write(frames.goaway(self._last_id, fault.code, fault.reason))
            self.lose(fault.code)

    def lose(self, code: int = ErrorCode.CANCEL) -> None:
        """The connection is no more: every open stream hears `on_reset`."""
        self.closed = True
        for stream in list(self.streams.values()):
            self._lose(stream, code)


def _check_length(stream: Stream, size: int, end: int) -> None:
    stream.expected -= size
    if stream.expected < 0 or (end and stream.expected):
        raise StreamFault(ErrorCode.PROTOCOL_ERROR, "body and content-length differ")
