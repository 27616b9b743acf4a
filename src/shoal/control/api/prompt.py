"""HTTP/1.1 of the control port: uvicorn's, whose heads are bounded in size and must come in time, and which tells whom
a client's certificate names.

A connection that has begun to send a head, or was opened and sends none, is closed after `HEAD_SECONDS`; so nobody
holds connections by sending slowly. Bodies have their own time limits (`bodies`), answered connections uvicorn's.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from shoal.control.security.credentials import CERTIFICATE
from shoal.core.tls import peer_name

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0


class PromptProtocol(H11Protocol):
    """See the module."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, CERTIFICATE: peer_name(transport.get_extra_info("peercert"))}
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Wait for a head from now on, or no more if it is there."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
