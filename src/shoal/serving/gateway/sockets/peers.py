"""Who is at the other end of a connection."""

from __future__ import annotations

import asyncio
import socket

from shoal.core.tls import peer_name


def address_of(transport: asyncio.BaseTransport) -> str:
    """The IP address; "" for a Unix socket, or once the connection is gone."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple) and name else ""


def peer_of(client: socket.socket) -> str:
    """The IP address at the other end of a socket; "" if it is gone already."""
    try:
        name = client.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) and name else ""


def certificate_of(transport: asyncio.BaseTransport) -> str:
    """The name in the certificate that the client has shown, and TLS has verified; "" for none."""
    return peer_name(transport.get_extra_info("peercert"))
