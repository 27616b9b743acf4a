"""Listening sockets for a host and a port, or a clear word why there are none."""

from __future__ import annotations

import asyncio
import errno
import socket

from shoal.core.errors import ConfigError

_ABSENT = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))
_BACKLOG = 4096  # the system may allow less


async def reserve(host: str, port: int) -> list[socket.socket]:
    """Hold a port for processes that are going to share it: the sockets are bound and do not listen.

    No connection comes to them, but while they are open nobody else gets the port, even when none of the processes
    listens just now.

    Raises:
        ConfigError: see `bind`.
    """
    alone = await bind(host, port, listen=False)  # fails where somebody listens, whether they would share or not
    port = alone[0].getsockname()[1]
    for each in alone:
        each.close()
    return await bind(host, port, reuse_port=True, listen=False)


async def bind(host: str, port: int, *, reuse_port: bool = False, listen: bool = True) -> list[socket.socket]:
    """Listen on every address of the host that this machine has, on the same port.

    Args:
        host: a name or an address; an empty string means every interface.
        port: 0 takes a free one.
        reuse_port: several processes may listen on the same port.
        listen: False only takes the port.

    Raises:
        ConfigError: the address is taken, not allowed, or not one of this machine.
    """
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in await _addresses(host, port):
            try:
                sockets.append(_bound(family, address, port, reuse_port))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error  # such as the ::1 of localhost, where IPv6 is switched off
            else:
                port = sockets[0].getsockname()[1]
                if listen:
                    sockets[-1].listen(_BACKLOG)
    except OSError as error:
        for each in sockets:
            each.close()
        raise _unusable(host, port, error) from error
    if not sockets and absent is not None:
        raise _unusable(host, port, absent) from absent
    return sockets


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bound(family: socket.AddressFamily, address: str, port: int, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    return listening


def _unusable(host: str, port: int, error: OSError) -> ConfigError:
    where = f"{host or '*'}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"{where} is already in use by another process.",
            hint=f"Stop that process (`ss -ltnp 'sport = :{port}'` names it) or choose another port with --port.",
            field="port",
        )
    if error.errno == errno.EACCES:
        return ConfigError(
            f"{where} may not be used by this user.", hint="Choose a port above 1023 with --port.", field="port"
        )
    return ConfigError(
        f"Cannot listen on {where}: {error.strerror or error}.", hint="Check the host given with --host.", field="host"
    )
