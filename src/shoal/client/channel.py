"""The way to a server: one link at a time, made when needed, replaced when it goes.

However many calls wait, one connection is being opened at most, and all of them share it (or its failure). When the
server says GOAWAY, new requests go over a new link while the old one finishes its own.
"""

from __future__ import annotations

import asyncio
import os
import ssl

from shoal.client.address import Address, Tls
from shoal.client.caller import LinkError
from shoal.client.link import Link, LinkGone
from shoal.client.operations import Headers, Outgoing, Reply
from shoal.client.retry import Failure
from shoal.core.errors import Cancelled

CONNECT_SECONDS = 10.0
MOVES = 5
"""Links that a request may try in a row; a server that closes each before it takes anything is broken."""


class Http2Channel:
    """See the module.

    Args:
        address: of the server.
        fixed: headers of every request.
        tls: how to trust and prove oneself, for a secure address.
    """

    def __init__(self, address: Address, *, fixed: Headers = (), tls: Tls | ssl.SSLContext | None = None) -> None:
        self._address = address
        self._fixed = fixed
        self._name: str | None = None
        self._context: ssl.SSLContext | None = None
        if address.secure:
            self._name = tls.server_name if isinstance(tls, Tls) else None
            self._context = tls if isinstance(tls, ssl.SSLContext) else (tls or Tls()).context()
        self._link: Link | None = None
        self._old: set[Link] = set()
        self._connecting: asyncio.Task[Link] | None = None
        self._closed = False

    async def send(self, outgoing: Outgoing, headers: Headers) -> Reply:
        """Send a request over the current link, or a new one.

        Raises:
            LinkError: no reply has come.
            Cancelled: the client is closed.
        """
        for _ in range(MOVES):
            link = self._link
            if link is None or not link.usable or self._closed:
                link = await self._connect()
            try:
                return await link.send(outgoing, headers)
            except LinkGone:
                continue
        raise LinkError(Failure.UNSENT, f"{self._address} closes each connection at once", "is it shutting down?")

    async def close(self) -> None:
        """Close all links; calls under way fail, later ones are refused."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        for link in (self._link, *self._old):
            if link is not None:
                link.close()
        await asyncio.sleep(0)

    async def _connect(self) -> Link:
        if self._closed:
            raise Cancelled("the client is closed", hint="make a new one, or keep it open as long as it is used")
        loop = asyncio.get_running_loop()
        if self._connecting is None or self._connecting.get_loop() is not loop:
            self._connecting = loop.create_task(self._open(), name="client-connect")
            self._connecting.add_done_callback(self._connected)
        try:
            return await asyncio.shield(self._connecting)
        except asyncio.CancelledError:
            if self._closed:
                raise Cancelled("the client was closed before the answer") from None
            raise

    def _connected(self, task: asyncio.Task[Link]) -> None:
        if self._connecting is task:
            self._connecting = None
        if task.cancelled() or task.exception() is not None:
            return
        if self._closed:
            task.result().close()

    async def _open(self) -> Link:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, link = await asyncio.get_running_loop().create_connection(
                    lambda: Link(self._address, self._fixed),
                    self._address.host,
                    self._address.port,
                    ssl=self._context,
                    server_hostname=self._name if self._context else None,
                )
        except TimeoutError:
            raise self._unreachable(f"no connection within {CONNECT_SECONDS:g} s") from None
        except ssl.SSLError as error:
            text = getattr(error, "verify_message", "") or error.reason or str(error)
            raise LinkError(
                Failure.FINAL, f"TLS with {self._address} failed: {text}", "check ca, cert and key"
            ) from error
        except OSError as error:
            raise self._unreachable(_sentence(error)) from error
        if self._context is not None and transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.close()
            raise LinkError(Failure.FINAL, f"{self._address} does not speak HTTP/2 over TLS")
        self._replace(link)
        return link

    def _replace(self, link: Link) -> None:
        self._old = {old for old in (*self._old, self._link) if old is not None and old.active}
        self._link = link

    def _unreachable(self, why: str) -> LinkError:
        hint = "is the server running, and is this its address?"
        return LinkError(Failure.UNSENT, f"cannot connect to {self._address}: {why}", hint)


def _sentence(error: OSError) -> str:
    """What the system calls the error, without asyncio's words; errors of name resolution have no number above 0."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else str(error)
