"""The data port: accepts connections, finds out what they speak, keeps time for all of them, and drains them.

One port serves HTTP/1.1, HTTP/2 and gRPC, with or without TLS. One timer sweeps all connections, so a connection needs
none of its own. Above the limit of connections (which leaves some of the process's file descriptors to everything
else) a new client is told so at once rather than left hanging; above that of one address, in the words of its protocol
(see `refusing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from itertools import islice

from shoal.core import clock as clocks
from shoal.core.clock import Clock
from shoal.core.metrics import Metrics
from shoal.core.tasks import Tasks
from shoal.serving.gateway.exchange import HttpApp, RpcMethods, WireLimits
from shoal.serving.gateway.sockets.acceptor import Acceptor
from shoal.serving.gateway.sockets.binding import bind
from shoal.serving.gateway.sockets.http1 import Http1Connection
from shoal.serving.gateway.sockets.http2 import Http2Connection
from shoal.serving.gateway.sockets.negotiation import Connection, Negotiation
from shoal.serving.gateway.sockets.peers import peer_of
from shoal.serving.gateway.sockets.refusing import CROWDED, SECONDS, Crowd, Refusal

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 1.0
_SWEEP_SLICE = 512  # connections swept without a break
_SPARE_DESCRIPTORS = 64
_BUSY_BODY = b'{"error":"The server has too many connections.","code":"overloaded"}'
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: %d\r\nretry-after: 1\r\n"
    b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%b" % (len(_BUSY_BODY), _BUSY_BODY)
)


class Listener:
    """Listens from `start` to `stop`.

    Args:
        host: a name or an address; all addresses of a name are bound, an empty string means every interface.
        port: 0 takes a free one, see `port`.
        http: answers HTTP requests.
        rpc: the gRPC methods.
        limits: what a client may cost.
        clock: monotonic time.
        ssl_context: speaks TLS if given, see `tls.server_context`.
        metrics: where connections are counted, or None.
        reuse_port: several processes may listen on the same port.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        http: HttpApp,
        rpc: RpcMethods,
        limits: WireLimits,
        clock: Clock = clocks.monotonic,
        ssl_context: ssl.SSLContext | None = None,
        metrics: Metrics | None = None,
        reuse_port: bool = False,
    ) -> None:
        self._host = host
        self._port = port
        self._http = http
        self._rpc = rpc
        self._limits = limits
        self._clock = clock
        self._ssl_context = ssl_context
        self._reuse_port = reuse_port
        self._count = _Counters(metrics or Metrics())
        self._most = _connection_limit(limits.connections)
        self._acceptors: list[Acceptor] = []
        self._connections: dict[Negotiation, Connection] = {}  # itself at first, then what was negotiated
        apart = limits.connections_per_address
        self._crowd = Crowd(apart) if apart < self._most else None  # one address may have all there are
        self._sources: dict[Negotiation, str | None] = {}  # whom each counts to, in a crowd; None: it is refused
        self._opening = 0  # accepted, but not a connection yet
        self._tasks = Tasks()
        self._stopping = False
        self._timer: asyncio.Handle | None = None
        self._empty = asyncio.Event()

    @property
    def port(self) -> int:
        """The port in use, once started."""
        return self._port

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def start(self) -> None:
        """Bind and accept.

        Raises:
            ConfigError: the address is taken, not allowed, or not one of this machine.
        """
        sockets = await bind(self._host, self._port, reuse_port=self._reuse_port)
        self._port = sockets[0].getsockname()[1]
        for listening in sockets:
            acceptor = Acceptor(listening, on_accept=self._accepted, on_exhausted=self._turn_away)
            acceptor.start()
            self._acceptors.append(acceptor)
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep_all)
        logger.info("listening", extra={"host": self._host, "port": self._port, "tls": self._ssl_context is not None})

    async def stop(self, grace: float) -> int:
        """Accept no more, let what is in flight finish for up to `grace` seconds, cut off the rest. May be repeated.

        Returns:
            How many connections were cut off.
        """
        self._stopping = True
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            acceptor.stop()
        for connection in list(self._connections.values()):
            connection.shutdown()
        await self._wait_until_empty(grace)
        await self._tasks.close()
        cut_off = list(self._connections.values())
        for connection in cut_off:
            connection.abort()
        await self._wait_until_empty(1.0)
        if self._timer is not None:
            self._timer.cancel()
        return len(cut_off)

    async def _wait_until_empty(self, seconds: float) -> None:
        if self._connections or self._opening:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), seconds)

    # Connections.

    def _accepted(self, client: socket.socket) -> None:
        self._count.accepted.inc()
        if len(self._connections) + self._opening >= self._most:
            self._turn_away(client)
            return
        source: str | None = ""
        if self._crowd is not None:
            source = self._crowd.enter(peer_of(client))
            if source is None and self._crowd.is_full:
                self._crowd.leave(source)
                self._turn_away(client, CROWDED)
                return
        self._opening += 1
        self._tasks.start("open connection", self._open(client, source))

    def _turn_away(self, client: socket.socket, told: bytes = _BUSY) -> None:
        """Say so (in clear; within TLS nothing can be said without a handshake) and close."""
        self._count.refused.inc()
        with client, contextlib.suppress(OSError):
            if self._ssl_context is None:
                client.send(told)
                client.shutdown(socket.SHUT_WR)
                client.recv(65536)  # unread bytes would turn the close into a reset, and the answer be lost

    async def _open(self, client: socket.socket, source: str | None) -> None:
        refused = source is None
        negotiation = Negotiation(
            self._refuse if refused else self._decided,
            on_open=self._add,
            on_close=self._remove,
            clock=self._clock,
            seconds=SECONDS if refused else self._limits.header_seconds,
        )
        if self._crowd is not None:
            self._sources[negotiation] = source
        timeout = self._limits.header_seconds if self._ssl_context is not None else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: negotiation, client, ssl=self._ssl_context, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError) as error:
            client.close()
            logger.debug("connection failed before it was open", extra={"reason": str(error)})
        finally:
            if not negotiation.opened:
                self._opening -= 1
                self._leave(negotiation)
                self._note_if_empty()

    def _decided(self, negotiation: Negotiation, transport: asyncio.Transport, http2: bool, read: bytes) -> None:
        def on_close(_: Connection) -> None:
            self._remove(negotiation)

        limits, clock = self._limits, self._clock
        connection: Http1Connection | Http2Connection
        if http2:
            connection = Http2Connection(
                transport, http=self._http, rpc=self._rpc, limits=limits, clock=clock, on_close=on_close
            )
        else:
            connection = Http1Connection(transport, http=self._http, limits=limits, clock=clock, on_close=on_close)
        self._connections[negotiation] = connection
        transport.set_protocol(connection)
        if self._stopping:
            connection.shutdown()
        if read:
            connection.data_received(read)

    def _refuse(self, negotiation: Negotiation, transport: asyncio.Transport, http2: bool, read: bytes) -> None:
        self._count.refused.inc()
        refusal = Refusal(transport, http2=http2, clock=self._clock, on_close=lambda _: self._remove(negotiation))
        self._connections[negotiation] = refusal
        transport.set_protocol(refusal)

    def _add(self, negotiation: Negotiation) -> None:
        self._opening -= 1
        self._connections[negotiation] = negotiation
        self._count.open.set(len(self._connections))
        if self._stopping:
            negotiation.shutdown()

    def _remove(self, negotiation: Negotiation) -> None:
        self._connections.pop(negotiation, None)
        self._leave(negotiation)
        self._count.open.set(len(self._connections))
        self._note_if_empty()

    def _leave(self, negotiation: Negotiation) -> None:
        if self._crowd is not None:
            self._crowd.leave(self._sources.pop(negotiation))

    def _note_if_empty(self) -> None:
        if not self._connections and not self._opening:
            self._empty.set()

    # Time.

    def _sweep_all(self) -> None:
        self._sweep(list(self._connections), 0)

    def _sweep(self, keys: list[Negotiation], start: int) -> None:
        now = self._clock()
        for key in islice(keys, start, start + _SWEEP_SLICE):
            self._sweep_one(key, now)
        start += _SWEEP_SLICE
        loop = asyncio.get_running_loop()
        if start < len(keys):
            self._timer = loop.call_soon(self._sweep, keys, start)
        else:
            self._timer = loop.call_later(_SWEEP_SECONDS, self._sweep_all)

    def _sweep_one(self, key: Negotiation, now: float) -> None:
        connection = self._connections.get(key)
        if connection is None:
            return
        try:
            connection.sweep(now)
            key.end_farewell()
        except Exception:  # one connection's bug must not stop the clock of all
            logger.exception("sweeping a connection failed")
            key.abort()


class _Counters:
    """What is counted of connections."""

    def __init__(self, metrics: Metrics) -> None:
        self.accepted = metrics.counter("shoal_connections_total", "Connections accepted.").labels()
        self.refused = metrics.counter(
            "shoal_connections_refused_total", "Connections turned away because there were too many."
        ).labels()
        self.open = metrics.gauge("shoal_connections", "Connections open now.").labels()


def _connection_limit(most: int) -> int:
    """The limit of connections, lowered so that other parts of the process always find a file descriptor."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return most
    return max(1, min(most, descriptors - max(_SPARE_DESCRIPTORS, descriptors // 8)))
