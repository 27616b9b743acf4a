"""Connections of an address that has too many: how they are counted, and how one more is refused.

A connection that is refused is listened to until it has said what it speaks, and is told in those words; then it is
closed, within seconds whatever the client does. So few of them are there at once (`AT_ONCE`) that they cost little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shoal.core.clock import Clock
from shoal.core.wire.http2 import ErrorCode, frames
from shoal.serving.gateway.guard.attempts import source_of

SECONDS = 2.0
"""How long a refused client may take to say what it speaks, and then to read why."""
AT_ONCE = 64
"""Connections that are refused so at the same time. Those beyond are told at once, in HTTP/1.1."""

_BODY = b'{"error":"There are too many connections from this address.","code":"quota_exceeded"}'
CROWDED = (
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: %d\r\nretry-after: 1\r\n"
    b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)
GOAWAY = frames.settings({}) + frames.goaway(0, ErrorCode.ENHANCE_YOUR_CALM, "too many connections from this address")


class Crowd:
    """Counts connections by source: an IPv4 address, or the /64 of an IPv6 one.

    Args:
        most: connections of one source.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[str, int] = {}
        self._refused = 0

    @property
    def is_full(self) -> bool:
        """Whether more are refused just now than there may be."""
        return self._refused > AT_ONCE

    def enter(self, address: str) -> str | None:
        """Count one more; its source, or None: it is to be refused."""
        source = source_of(address)
        count = self._counts.get(source, 0)
        if count >= self._most:
            self._refused += 1
            return None
        self._counts[source] = count + 1
        return source

    def leave(self, source: str | None) -> None:
        """One has ended; `source` is what `enter` has said."""
        if source is None:
            self._refused -= 1
            return
        count = self._counts[source] - 1
        if count:
            self._counts[source] = count
        else:
            del self._counts[source]


class Refusal(asyncio.Protocol):
    """A connection that is told why it is refused; implements `negotiation.Connection`.

    Args:
        transport: connected.
        http2: whether it speaks HTTP/2.
        on_close: called once, when the connection is gone.
    """

    busy = 0

    def __init__(
        self, transport: asyncio.Transport, *, http2: bool, clock: Clock, on_close: Callable[[Refusal], None]
    ) -> None:
        self._transport = transport
        self._on_close = on_close
        self._deadline = clock() + SECONDS
        transport.write(GOAWAY if http2 else CROWDED)
        if transport.can_write_eof():
            transport.write_eof()  # and not closed: unread bytes would turn that into a reset, and the answer be lost
        else:
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_close(self)

    def sweep(self, now: float) -> None:
        """Wait no longer."""
        if now > self._deadline:
            self._transport.abort()

    def shutdown(self) -> None:
        """Nothing is in flight."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
