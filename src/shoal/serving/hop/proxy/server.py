"""Listens for gateways on a Unix socket of this machine, or on TCP with mutual TLS; nothing else is offered.

On a Unix socket the kernel says whose process connects, and only one's own user is let in; the socket lies in a folder
that only that user can enter. Over TCP both ends have to show a certificate of the same authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import ssl
import stat
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.core.tasks import Tasks
from shoal.serving.hop import messages
from shoal.serving.hop.connection import Connection
from shoal.serving.hop.proxy.guest import Guest
from shoal.serving.hop.proxy.telling import Telling
from shoal.serving.hop.settings import ProxySettings

logger = logging.getLogger(__name__)

HEARTBEAT = 0.25
"""Seconds between two words on how the proxy stands; a change is told as soon as it is seen."""
LAST_WORDS = 1.0
"""Seconds that a gateway has to read what it was sent before the proxy closed."""
TLS_SECONDS = 5.0
_BACKLOG = 1024


class ProxyServer:
    """The proxy's end of the hop. Made inside a running event loop.

    Args:
        models: what this process hosts.
        name: the same after a restart: models are shared out by it.
        metrics: of this process.
        clock: monotonic seconds.
        settings: limits.
        uids: users whose processes may connect to the Unix socket; None: this process's own.
    """

    def __init__(
        self,
        models: Models,
        *,
        name: str,
        metrics: Metrics,
        clock: Clock = monotonic,
        settings: ProxySettings | None = None,
        uids: Collection[int] | None = None,
    ) -> None:
        self.models = models
        self.telling = Telling(models)
        self.settings = settings or ProxySettings()
        self.clock = clock
        self.name = name
        self.boot = secrets.token_hex(8)
        self.draining = False
        self.in_flight = self.rows = 0
        self._uids = frozenset((os.geteuid(),) if uids is None else uids)
        self._guests: set[Guest] = set()
        self._servers: list[asyncio.Server] = []
        self._sockets: list[tuple[Path, int]] = []
        self._tasks = Tasks()
        self._beating = False
        self._idle = asyncio.Event()
        self._alone = asyncio.Event()
        self._guests_open = metrics.gauge("shoal_hop_gateways", "Gateways that are connected to this proxy.").labels()

    async def listen_unix(self, path: Path | str) -> None:
        """Listen on a Unix socket; its folder is made, for this user alone, if need be.

        Raises:
            ConfigError: others may enter the folder, or another process listens there.
        """
        path = Path(path)
        _private_folder(path.parent)
        _refuse_if_used(path)
        listening, inode = _bind(path)
        server = await asyncio.get_running_loop().create_unix_server(self._guest(self._own_user), sock=listening)
        self._sockets.append((path, inode))
        self._listens(server)

    async def listen_tcp(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """Listen on TCP; the port is returned, as 0 takes a free one.

        Raises:
            ConfigError: the TLS settings would let anybody in, or the address cannot be had.
        """
        if ssl_context is None or ssl_context.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigError(
                "a proxy listens on TCP only for gateways that show a certificate",
                hint="give it a certificate, a key and the authority of the gateways, or use a Unix socket",
                field="tls",
            )
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                self._guest(lambda _: ""),
                host,
                port,
                ssl=ssl_context,
                backlog=_BACKLOG,
                ssl_handshake_timeout=TLS_SECONDS,
            )
        except OSError as error:
            raise ConfigError(f"the proxy cannot listen on {host}:{port}: {error}", field="port") from error
        self._listens(server)
        return int(server.sockets[0].getsockname()[1])

    def state(self) -> messages.State:
        """How this proxy stands."""
        return messages.State(self.models.ready(), self.draining, self.in_flight, self.rows)

    async def drain(self, grace: float) -> bool:
        """Take nothing new, say so, and return when all that was taken is answered: whether it was, within `grace`
        seconds."""
        self.draining = True
        self._stop_listening()
        self._tell()
        self.settled()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        return not self.in_flight

    async def close(self) -> None:
        """Hang up on all gateways; calls that have no answer yet are cancelled."""
        self.draining = True
        self._stop_listening()
        await self._tasks.close()
        guests = list(self._guests)
        for guest in guests:
            guest.end("the proxy has stopped")
        self.left(None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._alone.wait()
        for guest in guests:
            await guest.close()
        for server in self._servers:
            await server.wait_closed()

    def left(self, guest: Guest | None) -> None:
        """See `guest.Host`."""
        if guest is not None:
            self._guests.discard(guest)
        self._guests_open.value = len(self._guests)
        if not self._guests:
            self._alone.set()

    def settled(self) -> None:
        """See `guest.Host`."""
        if not self.in_flight:
            self._idle.set()

    def _listens(self, server: asyncio.Server) -> None:
        self._servers.append(server)
        if not self._beating:
            self._beating = True
            self._tasks.start("heartbeat", self._beat())

    def _guest(self, admit: Callable[[Connection], str]) -> Callable[[], Connection]:
        return lambda: Guest(self, lambda guest: self._came(guest) or admit(guest.connection)).connection

    def _came(self, guest: Guest) -> str:
        """A connection is made; why it may not stay, or ""."""
        self._guests.add(guest)
        self._guests_open.value = len(self._guests)
        self._alone.clear()
        most = self.settings.gateways
        return f"{most} gateways are connected already" if len(self._guests) > most else ""

    def _own_user(self, connection: Connection) -> str:
        peer = connection.fact("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("3i", peer)[1]
        return "" if uid in self._uids else f"its process belongs to the user {uid}"

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._tell()
            silent = self.clock() - self.settings.quiet_seconds
            for guest in list(self._guests):
                if guest.heard < silent and not guest.paused:
                    guest.connection.close("nothing has come from it for too long")

    def _tell(self) -> None:
        state = self.state()
        for guest in self._guests:
            guest.tell(state)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        for path, inode in self._sockets:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()
        self._sockets.clear()


def _private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise ConfigError(
            f"others may enter {folder}, where proxies and gateways meet",
            hint=f"it must belong to the user who runs them: `chmod 700 {folder}`",
        )


def _refuse_if_used(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return  # nobody is there, or nobody is any more
        except OSError as error:
            logger.debug("whoever listens on %s has no room: %s", path, error)
    raise ConfigError(f"another process listens on {path}", hint="give this proxy another name")


def _bind(path: Path) -> tuple[socket.socket, int]:
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
        raise ConfigError(f"the proxy cannot listen on {path}: {error}", field="proxies") from error
    return listening, inode
