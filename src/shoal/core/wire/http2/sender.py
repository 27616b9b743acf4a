"""The sending side: one list of pieces that the shell joins once per loop turn, and flow control towards the peer.

An answer that fits the windows goes out as ready bytes at once. What does not fit waits, uncopied, in the queue of its
stream; WINDOW_UPDATE, a new initial window, a drained transport or the next turn carry on. Control frames never wait.
A turn sends `TURN_BYTES` of bodies at most, then the next stream has its turn, so that a large answer delays no small
one for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from shoal.core.wire.http2 import codes, frames
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault, StreamFault

if TYPE_CHECKING:
    from shoal.core.wire.http2.stream import Payload, Stream

TURN_BYTES = 1024 * 1024
JOIN_BYTES = 64 * 1024
"""Bodies of a turn up to this sum are copied into one piece, as one `write` costs less than a vector of them."""
TINY = 64
"""A DATA frame below this many bytes that is not the last was forced by a tiny window."""

_pack = frames.HEADER.pack


class Sender:
    """What goes to the peer.

    Attributes:
        window: what the peer's connection window allows.
        initial_window, frame_size: the peer's settings.
        queued: bytes of all bodies that wait.
        blocked: streams with queued bytes or a pending end, in the order of their turn.
        sent: bytes of bodies sent so far.
        tiny: DATA frames sent that a tiny window has forced.
        more: bodies wait for nothing but the next turn: call `pump` after `take`.
        paused: the transport is full; bodies wait.
    """

    __slots__ = (
        "_close", "_pieces", "_turn", "_wake", "blocked", "frame_size", "initial_window", "more", "paused", "queued",
        "sent", "tiny", "window",
    )  # fmt: skip

    def __init__(self, wake: Callable[[], None], close: Callable[[Stream], None]) -> None:
        self._wake = wake
        self._close = close
        self._pieces: list[Payload] = []
        self._turn = 0
        self.window = codes.DEFAULT_WINDOW
        self.initial_window = codes.DEFAULT_WINDOW
        self.frame_size = codes.DEFAULT_FRAME_SIZE
        self.blocked: dict[int, Stream] = {}
        self.queued = 0
        self.sent = 0
        self.tiny = 0
        self.more = False
        self.paused = False

    def take(self) -> bytes:
        """All bytes to write now; begins a new turn."""
        return b"".join(self.take_pieces())

    def take_pieces(self) -> list[Payload]:
        """What to write now, in one piece unless that would cost a large copy; begins a new turn."""
        pieces, self._pieces = self._pieces, []
        turn, self._turn = self._turn, 0
        self.more = False
        return [b"".join(pieces)] if pieces and turn <= JOIN_BYTES else pieces

    def write(self, piece: bytes) -> None:
        """Send a whole control frame."""
        if not self._pieces:
            self._wake()
        self._pieces.append(piece)

    def headers(self, stream: Stream, block: bytes, end: bool) -> None:
        """Send a header block; the caller closes the stream if `end`."""
        self.write(frames.headers(stream.stream_id, block, end, self.frame_size))

    def answer(self, stream: Stream, block: bytes, prefix: bytes, body: Payload, trailers: bytes) -> None:
        """Send a whole answer: headers, a body (`prefix` + `body`, not both empty) and, unless empty, trailers."""
        length = len(prefix) + len(body)
        if length > self.frame_size or length > self.window or length > stream.send_window or self.paused:
            self._answer_in_parts(stream, block, prefix, body, trailers)
            return
        self.window -= length
        self._turn += length
        self.sent += length
        sid, size = stream.stream_id, len(block)
        if not self._pieces:
            self._wake()
        head = _pack(size >> 8, size & 0xFF, codes.HEADERS, codes.END_HEADERS, sid)
        if trailers:
            data = _pack(length >> 8, length & 0xFF, codes.DATA, 0, sid)
            size = len(trailers)
            tail = _pack(size >> 8, size & 0xFF, codes.HEADERS, codes.END_HEADERS | codes.END_STREAM, sid)
            self._pieces += (head, block, data, prefix, body, tail, trailers)
        else:
            data = _pack(length >> 8, length & 0xFF, codes.DATA, codes.END_STREAM, sid)
            self._pieces += (head, block, data, prefix, body)
        self._close(stream)

    def _answer_in_parts(self, stream: Stream, block: bytes, prefix: bytes, body: Payload, trailers: bytes) -> None:
        self.headers(stream, block, False)
        if prefix:
            self.data(stream, prefix, None)
        self.data(stream, body, trailers)

    def data(self, stream: Stream, data: Payload, tail: bytes | None) -> None:
        """Queue a part of a body and send what fits.

        Args:
            stream: open for sending.
            data: the part, maybe empty. Ignored, like `tail`, once the end is queued.
            tail: None if more follows; otherwise the end: a block of trailers, or empty for a plain END_STREAM.
        """
        if stream.tail is not None:
            return
        if stream.queue is None:
            stream.queue = deque()
        if data:
            stream.queue.append(memoryview(data))
            stream.queued += len(data)
            self.queued += len(data)
        stream.tail = tail
        if stream.stream_id not in self.blocked:
            stream.progress = stream.connection.now
            self.blocked[stream.stream_id] = stream
        self._pump_one(stream)

    def pump(self) -> None:
        """Send what the windows, the turn and the transport allow, stream after stream."""
        for stream in list(self.blocked.values()):
            if self._turn >= TURN_BYTES or self.paused:
                return
            self._pump_one(stream)

    def _pump_one(self, stream: Stream) -> None:
        queue = stream.queue
        assert queue is not None
        while queue:
            room = min(self.window, stream.send_window, self.frame_size, TURN_BYTES - self._turn)
            if room <= 0 or self.paused:
                self.more |= self._turn >= TURN_BYTES
                self._rotate(stream)
                return
            self._send_chunk(stream, queue, room)
        self._finish_queue(stream)

    def _send_chunk(self, stream: Stream, queue: deque[memoryview], room: int) -> None:
        chunk = queue[0]
        size = len(chunk)
        if size <= room:
            queue.popleft()
        else:
            queue[0], chunk, size = chunk[room:], chunk[:room], room
            if room < TINY:
                self.tiny += 1
        last = stream.tail == b"" and not queue
        self.window -= size
        stream.send_window -= size
        stream.queued -= size
        stream.progress = stream.connection.now
        self.queued -= size
        self._turn += size
        self.sent += size
        self.write(_pack(size >> 8, size & 0xFF, codes.DATA, codes.END_STREAM if last else 0, stream.stream_id))
        self._pieces.append(chunk)
        if last:
            stream.tail = None
            self.blocked.pop(stream.stream_id, None)
            self._close(stream)

    def _finish_queue(self, stream: Stream) -> None:
        """The queue is empty: send the end if it is due."""
        tail, stream.tail = stream.tail, None
        if self.blocked.pop(stream.stream_id, None) is None or stream.local_closed:
            return
        if tail is None:
            stream.connection.receiver.on_drained(stream)
            stream.on_drained()
            return
        if tail:
            self.headers(stream, tail, True)
        else:
            self.write(frames.frame(codes.DATA, codes.END_STREAM, stream.stream_id))
        self._close(stream)

    def _rotate(self, stream: Stream) -> None:
        """Let the others have their turn first."""
        if self.blocked.pop(stream.stream_id, None) is not None:
            self.blocked[stream.stream_id] = stream

    def forget(self, stream: Stream) -> None:
        """Drop what a dead stream still had to send."""
        self.blocked.pop(stream.stream_id, None)
        self.queued -= stream.queued
        stream.queued = 0
        stream.queue = stream.tail = None

    def resize_windows(self, streams: list[Stream], initial_window: int) -> None:
        """The peer has set another initial window; open streams change by the difference, maybe to below zero."""
        change, self.initial_window = initial_window - self.initial_window, initial_window
        for stream in streams:
            stream.send_window += change
            if stream.send_window > codes.LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream window overflows")
        self.pump()

    def grow(self, stream: Stream | None, increment: int) -> None:
        """The peer gave credit to a stream, or (None) to the connection."""
        if stream is None:
            self.window += increment
            if self.window > codes.LARGEST_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection window overflows")
            self.pump()
            return
        stream.send_window += increment
        if stream.send_window > codes.LARGEST_WINDOW:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, "the stream window overflows")
        if stream.stream_id in self.blocked:
            self._pump_one(stream)
