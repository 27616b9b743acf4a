"""Which protocol a new connection speaks: HTTP/2 or HTTP/1.1.

With TLS the handshake may have said so (ALPN); otherwise the first bytes tell, in however many pieces they come. The
connection is then handed over to its protocol, with what was read, and this object is out of the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from shoal.core.clock import Clock

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_TELLING = b"PRI * HTTP/2.0"
_DRAIN_SECONDS = 0.05


class Connection(Protocol):
    """What the listener needs of a connection, whatever it speaks."""

    @property
    def busy(self) -> int: ...

    def sweep(self, now: float) -> None:
        """Close what is overdue."""

    def shutdown(self) -> None:
        """Finish what is in flight, then close."""

    def abort(self) -> None:
        """Close at once."""


class Negotiation(asyncio.Protocol):
    """A connection that has not said yet what it speaks.

    Args:
        decide: called once with this object, the transport, whether it is HTTP/2, and what was read so far.
        on_close: called if the connection ends before it was decided.
        seconds: how long it may take.
    """

    def __init__(
        self,
        decide: Callable[[Negotiation, asyncio.Transport, bool, bytes], None],
        *,
        on_open: Callable[[Negotiation], None],
        on_close: Callable[[Negotiation], None],
        clock: Clock,
        seconds: float,
    ) -> None:
        self._decide = decide
        self._on_open = on_open
        self._on_close = on_close
        self._read = b""
        self._decided = False
        self._deadline = clock() + seconds
        self._transport: asyncio.Transport | None = None

    @property
    def opened(self) -> bool:
        """The transport is there (with TLS: the handshake is done)."""
        return self._transport is not None

    @property
    def busy(self) -> bool:
        return bool(self._read)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self._on_open(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            self._hand_over(http2=True)

    def data_received(self, data: bytes) -> None:
        self._read += data
        if self._read.startswith(_TELLING):
            self._hand_over(http2=True)
        elif not _TELLING.startswith(self._read):
            self._hand_over(http2=False)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._decided:
            self._decided = True
            self._on_close(self)

    def sweep(self, now: float) -> None:
        """Nothing was asked, so nothing is answered: just close."""
        if now > self._deadline:
            self.abort()

    def shutdown(self) -> None:
        """Give what is on its way a moment to arrive, then close."""
        asyncio.get_running_loop().call_later(_DRAIN_SECONDS, self._close_undecided)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def end_farewell(self) -> None:
        """Wait no longer for a TLS client to confirm that the connection is closed; all answers are written."""
        transport = self._transport
        if transport is not None and transport.is_closing() and not transport.get_write_buffer_size():
            transport.abort()

    def _close_undecided(self) -> None:
        if not self._decided and self._transport is not None:
            self._transport.close()

    def _hand_over(self, *, http2: bool) -> None:
        assert self._transport is not None
        self._decided = True
        read, self._read = self._read, b""
        self._decide(self, self._transport, http2, read)
