"""One HTTP/2 connection to a server: many requests at once, each with a reply or a reason why there is none.

The protocol itself is `core.wire.http2`; here are its socket, its clock and its callers. Requests beyond the server's
limit of concurrent streams wait in order. A cancelled call resets its stream. After a GOAWAY no request is begun; those
under way finish, then the socket closes. `LinkGone` says: never sent, use another link.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any, cast

from shoal.client.address import Address
from shoal.client.caller import LinkError
from shoal.client.operations import Headers, Outgoing, Reply
from shoal.client.retry import Failure
from shoal.core.clock import monotonic
from shoal.core.errors import Cancelled
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.connection import Connection
from shoal.core.wire.http2.fields import encode_block, encode_field
from shoal.core.wire.http2.heads import ResponseHead
from shoal.core.wire.http2.receiver import Limits
from shoal.core.wire.http2.stream import STREAM_SLOTS, Stream

LIMITS = Limits(stream_window=4 << 20, connection_window=64 << 20, held_bytes=256 << 20)
MAX_REPLY = 1 << 30
"""Bytes of one reply."""

_BLOCKS = 256
_DEAD_AFTER_MS = 30_000


class LinkGone(Exception):
    """The link takes no requests any more, and has not sent this one."""


class Pending(Stream):
    """One request on its way, and the future of its reply."""

    __slots__ = (*STREAM_SLOTS, "body", "future", "head", "headers", "link", "parts", "size", "started")

    def __init__(self, link: Link, future: asyncio.Future[Reply], block: bytes, body: bytes) -> None:
        self.link = link
        self.future = future
        self.head = block
        self.body = body
        self.headers: ResponseHead | None = None
        self.parts: list[bytes] = []
        self.size = 0
        self.started = False

    def start(self, connection: Connection) -> None:
        """Send all of it, as the windows allow."""
        self.started = True
        connection.start(self, self.head, not self.body)
        if self.body:
            self.send_data(self.body, True)

    def abandon(self) -> None:
        """Nobody waits for what may still come or go."""
        if self.started and not (self.local_closed and self.remote_closed):
            self.reset(ErrorCode.CANCEL)

    def fail(self, error: Exception) -> None:
        """End without a reply."""
        if not self.future.done():
            self.future.set_exception(error)

    def on_headers(self, head: ResponseHead) -> None:
        if head.status >= 200:
            self.headers = head

    def on_data(self, data: bytes, end: bool) -> None:
        self.parts.append(data)
        self.size += len(data)
        if end:
            self._finish({})
        elif self.size > MAX_REPLY:
            self.on_overflow()

    def on_trailers(self, trailers: dict[bytes, bytes]) -> None:
        self._finish(trailers)

    def on_reset(self, code: int) -> None:
        self.fail(self.link.reason(code))

    def on_overflow(self) -> None:
        self.reset(ErrorCode.CANCEL)
        self.fail(LinkError(Failure.FINAL, "the answer is too large", "ask for fewer rows or outputs at once"))

    def _finish(self, trailers: dict[bytes, bytes]) -> None:
        if self.future.done():
            return
        if self.headers is None:
            self.fail(LinkError(Failure.FINAL, "the server's answer has no status"))
            return
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.future.set_result(Reply(self.headers.status, self.headers.headers | trailers, body))


class Link(asyncio.Protocol):
    """See the module. Made by `Channel`, one event loop only.

    Args:
        address: for the request's authority and for messages.
        fixed: headers of every request.
    """

    def __init__(self, address: Address, fixed: Headers = ()) -> None:
        self._address = address
        self._fixed = fixed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._connection = Connection(LIMITS, self._wake, now=monotonic())
        self._waiting: deque[Pending] = deque()
        self._blocks: dict[tuple[bytes, bytes, Headers], bytes] = {}
        self._lost = False
        self._ended = False

    @property
    def usable(self) -> bool:
        """Whether it takes new requests in the running loop."""
        connection = self._connection
        return not (self._ended or self._lost or connection.closed or connection.draining) and (
            asyncio.get_running_loop() is self._loop
        )

    @property
    def active(self) -> int:
        """Requests that are sent and not answered."""
        return len(self._connection.streams)

    async def send(self, outgoing: Outgoing, headers: Headers) -> Reply:
        """Send a request and wait for its whole reply.

        Raises:
            LinkGone: not sent, and never will be by this link.
            LinkError: sent, and no reply has come.
        """
        pending = Pending(self, self._loop.create_future(), self._block(outgoing, headers), outgoing.body)
        self._waiting.append(pending)
        self._begin_waiting()
        try:
            return await pending.future
        finally:
            pending.abandon()
            self._begin_waiting()

    def close(self) -> None:
        """Close at once; calls under way fail."""
        self._ended = True
        if self._transport is not None and not self._lost:
            self._transport.close()

    def reason(self, code: int) -> Exception:
        """Why a stream that was reset has no reply."""
        if self._ended:
            return Cancelled("the client was closed before the answer")
        if code == ErrorCode.REFUSED_STREAM:
            if self._connection.draining:
                return LinkGone()
            return LinkError(Failure.UNSENT, f"{self._address} takes no more requests at once")
        if self._lost or self._connection.closed:
            fault = self._connection.fault
            hint = "is this the port of a server that speaks HTTP/2?" if fault else "is the server still running?"
            detail = f": {fault.reason}" if fault else ""
            return LinkError(Failure.LOST, f"the connection to {self._address} was lost{detail}", hint)
        return LinkError(Failure.FINAL, f"{self._address} broke the request off (HTTP/2 error {code})")

    # What the socket says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from it
        self._transport = transport
        _notice_death(transport.get_extra_info("socket"))
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._connection.receive(data, monotonic())
        self._begin_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._connection.lose()
        self._begin_waiting()

    def pause_writing(self) -> None:
        self._connection.sender.paused = True

    def resume_writing(self) -> None:
        self._connection.sender.paused = False
        self._connection.sender.pump()

    # Inside

    def _begin_waiting(self) -> None:
        """Start what waits and may go; close when all is done on a link that takes no more."""
        connection = self._connection
        while self._waiting and connection.capacity:
            pending = self._waiting.popleft()
            if not pending.future.done():
                pending.start(connection)
        if self._lost or connection.closed or connection.draining:
            while self._waiting:
                self._waiting.popleft().fail(LinkGone())
            if not connection.streams:
                self._loop.call_soon(self.close)

    def _block(self, outgoing: Outgoing, headers: Headers) -> bytes:
        """The request's header block; what repeats is encoded once."""
        key = (outgoing.method, outgoing.path, outgoing.headers)
        block = self._blocks.get(key)
        if block is None:
            if len(self._blocks) >= _BLOCKS:
                self._blocks.clear()
            block = self._blocks[key] = self._encode(outgoing)
        if outgoing.body:
            block += encode_field(b"content-length", b"%d" % len(outgoing.body))
        return block + encode_block(headers) if headers else block

    def _encode(self, outgoing: Outgoing) -> bytes:
        scheme = b"https" if self._address.secure else b"http"
        authority = self._address.authority.encode()
        pseudo = (
            (b":method", outgoing.method), (b":scheme", scheme), (b":authority", authority), (b":path", outgoing.path)
        )  # fmt: skip
        return encode_block((*pseudo, *outgoing.headers, *self._fixed))

    def _wake(self) -> None:
        if self._transport is not None:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what has gathered in this turn of the loop, and let queued bodies go on in the next."""
        sender = self._connection.sender
        if self._transport is not None and (data := sender.take()):
            self._transport.write(data)
        if self._connection.closed:
            self.close()
        elif sender.blocked:
            sender.pump()


def _notice_death(sock: Any) -> None:
    """Let the kernel find out that the other machine is gone, rather than every call its own deadline."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
