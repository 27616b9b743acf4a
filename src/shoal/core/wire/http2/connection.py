"""One HTTP/2 connection without a socket: bytes in, calls on streams out, bytes to send in `sender`.

The same class serves both ends. It promises: whatever the peer sends, `receive` does not raise; a broken rule ends its
stream (RST_STREAM) or the connection (GOAWAY, `closed`); every stream that was opened hears either its end or
`on_reset`, once, unless we reset it ourselves; memory is bounded by `Limits`. Time comes in with the bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.wire.http2 import codes, frames
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, StreamFault, protocol_error
from shoal.core.wire.http2.heads import RequestHead
from shoal.core.wire.http2.multiplex import Multiplex
from shoal.core.wire.http2.receiver import Limits
from shoal.core.wire.http2.stream import Stream

Accept = Callable[["Connection", int, RequestHead], Stream]
"""Makes the stream of a new request, `Stream._begin` called."""

_DRAIN_PING = b"draining"


class Connection(Multiplex):
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
        super().__init__(limits, wake, accept, now)
        self.fault: ConnectionFault | None = None
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

    # Frames of the connection

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
