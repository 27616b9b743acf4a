"""One HTTP/1.1 connection on a transport.

Requests come out of `core.wire.http1`, become an `Http1Exchange` each, and go to the application; answers leave in the
order of the requests, however the application finishes them. Reading stops while too many requests wait or while the
client does not read its answers, and goes on by itself. Large bodies are (de)compressed in an executor.

A client that closes its side has gone: HTTP/1.1 cannot tell a half-closed connection from a closed one before
something is sent, and work for nobody is worse than refusing the rare client that half-closes. So `on_gone` of what is
not answered is called, and answers that were already given are still delivered.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from types import MappingProxyType

import msgspec

from shoal.core.clock import Clock
from shoal.core.wire.http1.head import Head, Refusal
from shoal.core.wire.http1.parser import Body, RequestParser
from shoal.core.wire.http1.response import CONTINUE, plain_start
from shoal.serving.gateway.exchange import JSON, Headers, HttpApp, WireLimits
from shoal.serving.gateway.problems import NOSNIFF, answer_error, unexpected
from shoal.serving.gateway.sockets.compression import MIN_COMPRESS_BYTES
from shoal.serving.gateway.sockets.http1_exchange import GZIPPED, JOIN_BYTES, Buffer, Http1Exchange, gzip, inflate
from shoal.serving.gateway.sockets.peers import address_of, certificate_of

logger = logging.getLogger(__name__)

_LINGER_SECONDS = 2.0  # a refused client may go on sending for so long, and still reads why
_DRAIN_SECONDS = 0.05  # what was sent before a client could know of the shutdown is still answered
_NEVER = float("inf")
_NO_HEAD = Head(b"", b"", MappingProxyType({}), 0, 0, False, False, False, False, b"")  # of a refused request


class Http1Connection(asyncio.Protocol):
    """See the module. `on_close` is called once with this object, when the connection is gone."""

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        http: HttpApp,
        limits: WireLimits,
        clock: Clock,
        on_close: Callable[[Http1Connection], None],
    ) -> None:
        self._transport = transport
        self._http = http
        self._limits = limits
        self._clock = clock
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(limits)
        self._waiting: deque[Http1Exchange] = deque()
        self._began = self._touched = self._idle_since = clock()
        self._paused = False  # we do not read
        self._blocked = False  # the client does not read
        self._last = False  # no further request is taken
        self._easy = min(1, limits.pipeline - 1)  # so many waiting requests are never too many
        self._refused = False
        self._draining = False
        self._lost = False
        self._linger_until = _NEVER
        self._discarded = 0
        self._written = 0
        self._flushed = -1  # bytes the system had taken at the last sweep, -1 if all
        self._progress = 0.0  # when that number last grew
        transport.set_write_buffer_limits(high=limits.write_buffer_bytes)

    @property
    def busy(self) -> bool:
        """A request is being read or waits for its answer."""
        return bool(self._waiting) or self._parser.partial

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        if self._last:
            self._discard(data)
            return
        self._touched = now = self._clock()
        if not self._parser.partial:
            self._began = now
        self._parser.receive(data)
        if not self._paused:
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._last = True
        waiting, self._waiting = self._waiting, deque()
        for exchange in waiting:
            if not exchange.answered and exchange.on_gone is not None:
                self._tell_gone(exchange.on_gone)
        self._on_close(self)

    def pause_writing(self) -> None:
        self._blocked = True
        self._pause()

    def resume_writing(self) -> None:
        self._blocked = False
        self._resume_if_possible()

    def _tell_gone(self, on_gone: Callable[[], None]) -> None:
        try:
            on_gone()
        except Exception:  # a bug; the others must hear it all the same
            logger.exception("the end of a client was not taken well")

    def _discard(self, data: bytes) -> None:
        """Nothing after a refused or a last request is ever looked at, and it is not read for ever."""
        self._discarded += len(data)
        if self._discarded > self._limits.body_bytes:
            self._transport.abort()

    # What the listener calls.

    def sweep(self, now: float) -> None:
        """Close what is overdue; called about once per second."""
        if self._is_stuck(now) or now >= self._linger_until:
            self._transport.abort()
        elif self._waiting or self._paused or self._last:
            self._idle_since = now
            if self._paused:
                self._began = self._touched = now
        if not self._paused and not self._last:
            self._sweep_reading(now)

    def shutdown(self) -> None:
        """Answer what is in flight, then close."""
        self._draining = True
        self._loop.call_later(_DRAIN_SECONDS, self._close_if_idle)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Requests.

    def _advance(self) -> None:
        parser = self._parser
        try:
            while (request := parser.next_request()) is not None:
                self._accept(*request)
                if self._last or self._paused:
                    return
                if len(self._waiting) > self._easy and self._is_full():
                    self._pause()
                    return
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if parser.expects_continue:
            self._send_continue()

    def _accept(self, head: Head, body: Body) -> None:
        exchange = Http1Exchange(self, head, body, self._began)
        self._began = self._touched
        self._waiting.append(exchange)
        if not head.keep_alive:
            self._last = True
        if head.encoding and body:
            inflate(exchange, self._limits.body_bytes, self._call)
            return
        try:
            self._http(exchange)
        except Exception as error:  # noqa: BLE001 - the border: a bug costs one answer, and is logged with it
            answer_error(exchange, unexpected(error))

    def _call(self, exchange: Http1Exchange) -> None:
        """The body has been inflated."""
        if self._lost:
            return
        try:
            self._http(exchange)
        except Exception as error:  # noqa: BLE001 - see `_accept`
            answer_error(exchange, unexpected(error))

    def _is_full(self) -> bool:
        waiting = self._waiting
        if len(waiting) >= self._limits.pipeline:
            return True
        return sum(len(exchange.body) for exchange in waiting) > self._limits.body_bytes

    def _refuse(self, refusal: Refusal) -> None:
        exchange = Http1Exchange(self, _NO_HEAD, b"", self._began)
        self._last = self._refused = True
        self._waiting.append(exchange)
        body = msgspec.json.encode({"error": refusal.message, "code": refusal.code})
        self.answer(exchange, refusal.status, body, JSON, (NOSNIFF,))

    def _send_continue(self) -> None:
        if not self._waiting:  # a 100 must not overtake the answers before it
            self._parser.expects_continue = False
            self._write(CONTINUE)

    # Answers.

    def peer(self) -> str:
        """The address of the client."""
        return address_of(self._transport)

    def certificate(self) -> str:
        """The name in the client's certificate, which TLS has verified."""
        return certificate_of(self._transport)

    def answer(self, exchange: Http1Exchange, status: int, body: Buffer, content_type: bytes, headers: Headers) -> None:
        """What `Http1Exchange.respond` does."""
        if exchange.answered or self._lost:
            return
        exchange.answered = True
        if len(body) >= MIN_COMPRESS_BYTES and exchange.wants_gzip(body, content_type, headers):
            more = (*headers, *GZIPPED)
            gzip(body, lambda packed: self._send(exchange, status, packed, content_type, more))
        else:
            self._send(exchange, status, body, content_type, headers)

    def _send(self, exchange: Http1Exchange, status: int, body: Buffer, content_type: bytes, headers: Headers) -> None:
        if self._lost:
            return  # while the answer was compressed
        head, waiting = exchange.head, self._waiting
        plain = status == 200 and head.plain and not headers and len(body) <= JOIN_BYTES
        if plain and len(waiting) == 1 and self._is_calm():
            waiting.clear()
            self._write(plain_start(content_type, int(time.time())) + b"%d\r\n\r\n" % len(body) + body)
            return
        close = not head.keep_alive or (self._draining and self._ends_with(exchange))
        exchange.encode(status, body, content_type, headers, close=close, second=int(time.time()))
        if waiting[0] is exchange:
            self._flush()

    def _is_calm(self) -> bool:
        """Nothing was put off until the answers are out."""
        return not (self._last or self._draining or self._paused or self._parser.expects_continue)

    def _ends_with(self, exchange: Http1Exchange) -> bool:
        if self._waiting[-1] is not exchange or self._parser.partial:
            return False
        self._last = True
        return True

    def _flush(self) -> None:
        waiting = self._waiting
        while waiting and (ready := waiting[0].ready) is not None:
            rest = waiting.popleft().rest
            self._write(ready)
            if rest:
                self._write(rest)
        if waiting:
            if self._paused:
                self._resume_if_possible()
            return
        if not self._is_calm():
            self._drained()

    def _drained(self) -> None:
        """All requests are answered, and something was put off until then."""
        if self._last or (self._draining and not self._parser.partial):
            self._finish()
        elif self._paused:
            self._resume_if_possible()
        elif self._parser.expects_continue:
            self._send_continue()

    def _write(self, data: Buffer) -> None:
        self._written += len(data)
        self._transport.write(data)

    # Pausing, time limits, the end.

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume_if_possible(self) -> None:
        if not self._paused or self._blocked or self._lost or (self._waiting and self._is_full()):
            return
        self._paused = False
        self._began = self._touched = self._clock()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if not self._last:
            self._advance()

    def _is_stuck(self, now: float) -> bool:
        """Whether the client has read nothing of its answers for too long."""
        pending = self._transport.get_write_buffer_size()
        flushed = self._written - pending if pending else -1
        if flushed != self._flushed:
            self._flushed = flushed
            self._progress = now
        return pending > 0 and now - self._progress > self._limits.write_seconds

    def _sweep_reading(self, now: float) -> None:
        limits = self._limits
        if self._parser.in_body:
            if now - self._touched > limits.body_seconds:
                self._refuse(Refusal(408, "deadline_exceeded", "The body did not arrive in time."))
        elif self._parser.partial:
            if now - self._began > limits.header_seconds:
                self._refuse(Refusal(408, "deadline_exceeded", "The headers did not arrive in time."))
        elif not self._waiting and now - max(self._idle_since, self._touched) > limits.idle_seconds:
            self._transport.close()

    def _close_if_idle(self) -> None:
        if not self.busy and not self._lost:
            self._finish()

    def _finish(self) -> None:
        """Close when everything is written. After a refusal the client is given time to read why."""
        self._last = True
        if not self._refused or not self._transport.can_write_eof():
            self._transport.close()
            return
        if self._linger_until == _NEVER:
            self._linger_until = self._clock() + _LINGER_SECONDS
            self._transport.write_eof()
            if self._paused and not self._blocked:
                self._resume_if_possible()
