"""One HTTP/2 connection on a transport: `core.wire.http2.Connection` with a socket, a clock and the application.

Each stream becomes an `Http2Rpc` (content-type of gRPC) or an `Http2Exchange` (anything else). All output of one turn
of the loop leaves in one write. While the client does not read, nothing more is read from it and bodies wait in their
streams; while answers pile up behind the client's windows, new requests wait too. `sweep` enforces all times.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from shoal.core.clock import Clock
from shoal.core.wire import grpc
from shoal.core.wire.http2 import Connection, ErrorCode, Limits, Payload, RequestHead
from shoal.core.wire.http2.faults import ConnectionFault
from shoal.serving.gateway.exchange import HttpApp, RpcMethods, RpcStream, Streaming, WireLimits
from shoal.serving.gateway.sockets.http2_exchange import Http2Exchange
from shoal.serving.gateway.sockets.http2_rpc import Http2Rpc, Plan
from shoal.serving.gateway.sockets.http2_times import Times
from shoal.serving.gateway.sockets.peers import address_of, certificate_of

logger = logging.getLogger(__name__)

_STREAM_WINDOW = 1024 * 1024
_CONNECTION_WINDOW = 16 * 1024 * 1024
_DRAIN_SECONDS = 1.0  # a client that has not answered our ping by then gets the final GOAWAY
_STOP_SECONDS = 1.0  # a client that is answered early and goes on sending is stopped after that
_LINGER_SECONDS = 2.0  # a client has so long to read the last frames before the socket is closed under it
_BUG = "An unexpected error happened; it was logged."


class Http2Connection(asyncio.Protocol):
    """One client's connection, made when its first bytes say HTTP/2; those bytes come through `data_received` again.

    Args:
        transport: connected; its protocol forwards to this object.
        http, rpc: the application.
        limits: what the client may cost.
        clock: monotonic seconds.
        on_close: called once with this object, when the connection is gone.

    Attributes:
        wire: the protocol's state.
        congested: too many bytes of answers wait for the client; requests wait in turn.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        http: HttpApp,
        rpc: RpcMethods,
        limits: WireLimits,
        clock: Clock,
        on_close: Callable[[Http2Connection], None],
    ) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self._transport = transport
        self._http = http
        self._methods = rpc
        self._clock = clock
        self._on_close = on_close
        self._receiving = self._scheduled = self._lost = False
        self.congested = False
        self._waiting: deque[Callable[[], object]] = deque()
        self._close_at: float | None = None
        self._drain_at: float | None = None
        self._opened = 0
        now = clock()
        self._times = Times(now)
        transport.set_write_buffer_limits(high=limits.write_buffer_bytes // 4)
        self.wire = Connection(_wire_limits(limits), self._wake, accept=self._accept, now=now)

    @property
    def busy(self) -> int:
        """Open streams."""
        return len(self.wire.streams)

    # What the transport calls

    def data_received(self, data: bytes) -> None:
        self._receiving = True
        try:
            self.wire.receive(data, self._clock())
        finally:
            self._receiving = False
            self._flush()

    def pause_writing(self) -> None:
        self.wire.sender.paused = True
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.wire.sender.paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._waiting.clear()
        self.wire.lose(ErrorCode.CANCEL)
        self._on_close(self)

    # What the listener calls

    def shutdown(self) -> None:
        """Ask the client to open no more streams, answer those that are open, then close."""
        self._drain_at = self._clock() + _DRAIN_SECONDS
        self.wire.shutdown()
        self._flush()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Close what is overdue; called about once per second."""
        self.wire.now = now
        if self._close_at is not None:
            if now >= self._close_at:
                self._transport.abort()
        elif self._times.is_stuck(self._transport.get_write_buffer_size(), now, self.limits.write_seconds):
            self._transport.abort()
        else:
            self._sweep_streams(now)
            self._sweep_connection(now)
        self._flush()

    def _sweep_streams(self, now: float) -> None:
        limits, wire = self.limits, self.wire
        for stream in list(wire.streams.values()):
            waited = now - stream.progress
            if stream.local_closed:
                if waited > _STOP_SECONDS:
                    stream.reset(ErrorCode.NO_ERROR)
            elif stream.stream_id in wire.sender.blocked:
                if waited > limits.write_seconds:
                    wire.abandon(stream, ErrorCode.CANCEL)
            elif wire.receiver.is_parked(stream):
                stream.progress = now
            elif not stream.remote_closed and waited > limits.body_seconds:
                assert isinstance(stream, Http2Rpc | Http2Exchange)
                stream.on_stalled()

    def _sweep_connection(self, now: float) -> None:
        limits, wire, times = self.limits, self.wire, self._times
        if wire.streams or self._opened:
            times.idle_since, self._opened = now, 0
        if wire.block_since is not None and now - wire.block_since > limits.header_seconds:
            wire.give_up(ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers did not arrive in time"))
        patience = limits.body_seconds if wire.streams else limits.header_seconds
        if times.is_cut_off(wire.partials if wire.partial else -1, now, patience):
            wire.give_up(ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a frame did not arrive in time"))
        if self._drain_at is not None and now >= self._drain_at:
            wire.finish_shutdown()
        elif not wire.streams and now - times.idle_since > limits.idle_seconds:
            wire.shutdown()
            wire.finish_shutdown()

    # Requests

    def _accept(self, wire: Connection, stream_id: int, head: RequestHead) -> Http2Rpc | Http2Exchange:
        self._opened += 1
        plan = head.note
        if plan is None:
            is_rpc = grpc.is_grpc(head.headers.get(b"content-type", b""))
            plan = head.note = Plan(head, self._methods, self.limits) if is_rpc else False
        if isinstance(plan, Plan):
            return Http2Rpc(self, stream_id, head, plan)
        return Http2Exchange(self, stream_id, head)

    def dispatch(self, call: Callable[[], object]) -> None:
        """Make the call now, or when the client has read enough of its earlier answers."""
        if self.congested:
            self._waiting.append(call)
        else:
            call()

    def call_http(self, exchange: Http2Exchange) -> None:
        """Give a complete request to the application."""
        try:
            self._http(exchange)
        except Exception as error:  # noqa: BLE001 - logged and answered by `failed`
            self.failed(exchange, error)

    def open_rpc(self, rpc: Http2Rpc, method: Streaming) -> RpcStream | None:
        """Begin a streaming call."""
        try:
            return method.open(rpc)
        except Exception as error:  # noqa: BLE001 - logged and answered by `failed`
            self.failed(rpc, error)
            return None

    def guard(self, rpc: Http2Rpc, call: Callable[..., None], *args: bytes) -> None:
        """Call the application's end of a streaming call."""
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - logged and answered by `failed`
            self.failed(rpc, error)

    def failed(self, stream: Http2Rpc | Http2Exchange, error: BaseException) -> None:
        """The application, or we, did what should not happen: log it and answer."""
        logger.error("http2 request failed", extra={"stream": stream.stream_id}, exc_info=error)
        if isinstance(stream, Http2Rpc):
            stream.fail(grpc.Status.INTERNAL, _BUG)
        else:
            stream.fail(_BUG)

    def peer(self) -> str:
        """The address of the client."""
        return address_of(self._transport)

    def certificate(self) -> str:
        """The name in the client's certificate, which TLS has verified."""
        return certificate_of(self._transport)

    def gone(self, stream: Http2Rpc | Http2Exchange) -> None:
        """Tell the application, once, that nobody waits for its answer any more."""
        on_gone, stream.on_gone = stream.on_gone, None
        if on_gone is None:
            return
        try:
            on_gone()
        except Exception:
            logger.exception("cancelling a request failed", extra={"stream": stream.stream_id})

    # Output

    def _wake(self) -> None:
        if not self._receiving and not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        sender = self.wire.sender
        more = sender.more
        pieces = sender.take_pieces()
        if pieces and self._close_at is None and not self._lost and not self._transport.is_closing():
            self._write(pieces)
        if more:
            self.loop.call_soon(self._pump)
        if sender.queued or self.congested:
            self._regulate()
        if self.wire.closed or (self.wire.drained and not self.wire.streams):
            self._finish()

    def _write(self, pieces: list[Payload]) -> None:
        if len(pieces) == 1:
            self._times.written += len(pieces[0])
            self._transport.write(pieces[0])
        else:
            self._times.written += sum([len(piece) for piece in pieces])
            self._transport.writelines(pieces)

    def _regulate(self) -> None:
        """Hold requests back while too much is queued; let them go on when it is not."""
        sender = self.wire.sender
        self.congested = sender.queued > self.limits.write_buffer_bytes
        while self._waiting and not self.congested:
            self._waiting.popleft()()
            self.congested = sender.queued > self.limits.write_buffer_bytes

    def _pump(self) -> None:
        self.wire.sender.pump()
        self._flush()

    def _finish(self) -> None:
        """Everything is written: close, giving the client time to read it."""
        if self._close_at is not None or self._lost:
            return
        self._close_at = self._clock() + _LINGER_SECONDS
        self.wire.lose()
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()


def _wire_limits(limits: WireLimits) -> Limits:
    return Limits(
        header_bytes=limits.header_bytes,
        header_count=limits.header_count,
        streams=limits.streams,
        stream_window=_STREAM_WINDOW,
        connection_window=_CONNECTION_WINDOW,
        held_bytes=max(limits.body_bytes, _CONNECTION_WINDOW),
    )
