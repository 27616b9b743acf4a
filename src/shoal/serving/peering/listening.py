"""A place where other processes can reach us: a Unix socket of this machine, or TCP with mutual TLS; nothing else.

On a Unix socket the kernel says whose process connects, and only one's own user is let in; the socket lies in a folder
that only that user can enter. Over TCP both ends have to show a certificate of the same authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import stat
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.serving.peering.connection import Connection

logger = logging.getLogger(__name__)

TLS_SECONDS = 5.0
_BACKLOG = 1024

Make = Callable[["Callable[[Connection], str]"], Connection]
"""Makes our end of a connection; what it is given says why whoever connects may not come in, or ""."""


class Listening:
    """See the module. Made inside a running event loop.

    Args:
        make: see `Make`.
        role: what we are, for messages: ``proxy``.
        guests: who connects to us, for messages: ``gateways``.
        uids: users whose processes may connect to the Unix socket; None: this process's own.
    """

    def __init__(self, make: Make, *, role: str, guests: str, uids: Collection[int] | None = None) -> None:
        self._make = make
        self._role = role
        self._whose = guests
        self._uids = frozenset((os.geteuid(),) if uids is None else uids)
        self._servers: list[asyncio.Server] = []
        self._sockets: list[tuple[Path, int]] = []

    async def unix(self, path: Path | str) -> None:
        """Listen on a Unix socket; its folder is made, for this user alone, if need be.

        Raises:
            ConfigError: others may enter the folder, or another process listens there.
        """
        path = Path(path)
        self._private_folder(path.parent)
        self._refuse_if_used(path)
        listening, inode = self._bind(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: self._make(self._own_user), sock=listening)
        self._sockets.append((path, inode))
        self._servers.append(server)

    async def tcp(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """Listen on TCP; the port is returned, as 0 takes a free one.

        Raises:
            ConfigError: the TLS settings would let anybody in, or the address cannot be had.
        """
        if ssl_context is None or ssl_context.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigError(
                f"a {self._role} listens on TCP only for {self._whose} that show a certificate",
                hint=f"give it a certificate, a key and the authority of the {self._whose}, or use a Unix socket",
                field="tls",
            )
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: self._make(lambda _: ""),
                host,
                port,
                ssl=ssl_context,
                backlog=_BACKLOG,
                ssl_handshake_timeout=TLS_SECONDS,
            )
        except OSError as error:
            raise ConfigError(f"the {self._role} cannot listen on {host}:{port}: {error}", field="port") from error
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Let nobody connect any more; those who have are not touched."""
        for server in self._servers:
            server.close()
        for path, inode in self._sockets:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()
        self._sockets.clear()

    async def stopped(self) -> None:
        """Return when those who had connected are gone, too."""
        for server in self._servers:
            await server.wait_closed()

    def _own_user(self, connection: Connection) -> str:
        peer = connection.fact("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("3i", peer)[1]
        return "" if uid in self._uids else f"its process belongs to the user {uid}"

    def _private_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
        if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
            raise ConfigError(
                f"others may enter {folder}, where a {self._role} and its {self._whose} meet",
                hint=f"it must belong to the user who runs them: `chmod 700 {folder}`",
            )

    def _refuse_if_used(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(os.fspath(path))
            except (FileNotFoundError, ConnectionRefusedError):
                return  # nobody is there, or nobody is any more
            except OSError as error:
                logger.debug("whoever listens on %s has no room: %s", path, error)
        raise ConfigError(f"another process listens on {path}", hint=f"give this {self._role} another name")

    def _bind(self, path: Path) -> tuple[socket.socket, int]:
        """A listening socket that comes into sight only when it is ready and nobody else may use it."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        making = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            listening.setblocking(False)
            making.unlink(missing_ok=True)
            listening.bind(os.fspath(making))
            making.chmod(0o600)
            listening.listen(_BACKLOG)
            inode = making.stat().st_ino
            making.rename(path)
        except OSError as error:
            listening.close()
            raise ConfigError(f"the {self._role} cannot listen on {path}: {error}", field="listen") from error
        return listening, inode
