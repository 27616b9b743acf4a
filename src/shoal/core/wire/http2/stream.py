"""One stream: the state that both directions need, and the four things that may happen to it.

`Stream` has no slots of its own, so that a request object of the shell can be a stream at the same time (one object
per request): the class that is instantiated lists `STREAM_SLOTS` among its slots and calls `_begin`. What happens is
told by method calls, in order: `on_headers` (client only; a server's stream is made from its head), any number of
`on_data`, then either the `end` flag of the last `on_data`, or `on_trailers`, or `on_reset`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.heads import ResponseHead

if TYPE_CHECKING:
    from shoal.core.wire.http2.multiplex import Multiplex

STREAM_SLOTS = (
    "connection", "credit", "expected", "headed", "held", "local_closed", "progress", "queue", "queued",
    "receive_window", "remote_closed", "send_window", "stream_id", "tail",
)  # fmt: skip
_NO_SLOTS: tuple[str, ...] = ()

Payload = bytes | bytearray | memoryview


class Stream:
    """The base of all streams.

    Attributes:
        stream_id: 0 until a client's stream is opened.
        headed: the head of the response has come (client).
        local_closed: we have sent our last frame, or the stream was reset: nothing more can be sent.
        remote_closed: the peer has sent its last frame, or the stream was reset.
        queued: bytes of body that wait for the peer's windows.
        held: bytes of body that came and count against the connection's memory, until `release`.
        progress: monotonic seconds when a part of the body last came or went.
    """

    __slots__ = _NO_SLOTS

    connection: Multiplex
    stream_id: int
    send_window: int
    receive_window: int
    credit: int
    held: int
    expected: int
    queue: deque[memoryview] | None
    queued: int
    tail: bytes | None
    headed: bool
    local_closed: bool
    remote_closed: bool
    progress: float

    def _begin(self, connection: Multiplex, stream_id: int, expected: int) -> None:
        """Set the state of a new stream; `expected` is its content-length or -1."""
        self.connection = connection
        self.stream_id = stream_id
        self.send_window = connection.sender.initial_window
        self.receive_window = connection.limits.stream_window
        self.expected = expected
        self.credit = self.held = self.queued = 0
        self.queue = self.tail = None
        self.headed = self.local_closed = self.remote_closed = False
        self.progress = connection.now

    # What happens

    def on_open(self) -> None:
        """A server's stream is there and may be answered, even before its body."""

    def on_headers(self, head: ResponseHead) -> None:
        """The head of the response (interim ones of status 1xx too)."""

    def on_data(self, data: bytes, end: bool) -> None:
        """A part of the body; with `end` the last, which may be empty."""
        raise NotImplementedError

    def on_trailers(self, trailers: dict[bytes, bytes]) -> None:
        """The end, with trailers. A server seldom cares."""
        self.on_data(b"", True)

    def on_reset(self, code: int) -> None:
        """The stream is over before its end: reset by the peer or by a fault, or the connection is lost."""
        raise NotImplementedError

    def on_overflow(self) -> None:
        """The connection holds more unfinished bodies than it may, and this stream sent more: refuse it."""
        self.reset(ErrorCode.ENHANCE_YOUR_CALM)

    def on_closed_early(self) -> None:
        """A server's stream has ended while its client still sends: tell it to stop, now or a little later."""
        self.reset(ErrorCode.NO_ERROR)

    def on_drained(self) -> None:
        """All that was queued has been sent."""

    # What can be done

    def send_headers(self, block: bytes, end: bool = False) -> None:
        """Send a header block (encoded by `fields.encode_block`)."""
        if not self.local_closed:
            self.connection.sender.headers(self, block, end)
            if end:
                self.connection.close_local(self)

    def send_data(self, data: Payload, end: bool = False) -> None:
        """Send a part of the body, as the windows allow; `data` must not change afterwards."""
        if not self.local_closed:
            self.connection.sender.data(self, data, b"" if end else None)

    def send_trailers(self, block: bytes) -> None:
        """End with trailers, after all data that is still queued."""
        if not self.local_closed:
            self.connection.sender.data(self, b"", block)

    def reset(self, code: int) -> None:
        """Give the stream up; `on_reset` is not called for it."""
        self.connection.reset(self, code)

    def release(self) -> None:
        """The bytes of body that came so far are consumed and do not count any more."""
        self.connection.receiver.release(self)
