"""Where other processes of ours can be reached: a folder of sockets on this machine, or a list of addresses.

A directory says who may be there, not who is: that is for the links to find out.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shoal.core.errors import ConfigError
from shoal.core.tasks import Tasks

logger = logging.getLogger(__name__)

SUFFIX = ".sock"
LOOK_SECONDS = 0.2
"""How often a folder is looked at; a file of addresses less often."""
FILE_SECONDS = 1.0
Contexts = Callable[[], ssl.SSLContext]
"""Gives the TLS context of the moment."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another process may listen.

    Attributes:
        path: of its Unix socket, or "".
        host, port: otherwise.
        mark: another one when a socket of the same path is another one.
        context: with our certificate, as it is when a connection is made; for TCP.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    mark: int = 0
    context: Contexts | None = None

    @property
    def address(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    async def connect(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Raises OSError if nobody is there."""
        loop = asyncio.get_running_loop()
        if self.path:
            await loop.create_unix_connection(make, self.path)
        else:
            context = self.context() if self.context is not None else None
            await loop.create_connection(make, self.host, self.port, ssl=context)


class Directory(Protocol):
    """Who may be there.

    Attributes:
        on_change: called after `peers` has changed.
    """

    on_change: Callable[[], None]

    @property
    def peers(self) -> Mapping[str, Peer]:
        """By address."""
        ...

    async def start(self) -> None:
        """Look for the first time, and then again and again."""

    async def close(self) -> None: ...

    def look(self) -> None:
        """Look now: something has happened."""


class _Watched:
    """What all directories share: looking again and again."""

    def __init__(self, seconds: float) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.peers: Mapping[str, Peer] = {}
        self._seconds = seconds
        self._tasks = Tasks()

    async def start(self) -> None:
        """See `Directory`."""
        self.look()
        self._tasks.start("look for peers", self._watch())

    async def close(self) -> None:
        """See `Directory`."""
        await self._tasks.close()

    def look(self) -> None:
        """See `Directory`."""
        peers = self._read()
        if peers is not None and peers != self.peers:
            self.peers = peers
            self.on_change()

    def _read(self) -> Mapping[str, Peer] | None:
        """Who is there now; None: it cannot be told."""
        raise NotImplementedError

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            self.look()


class SocketFolder(_Watched):
    """Those who listen in a folder of this machine: each ``NAME.sock`` of it."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(LOOK_SECONDS)
        self._path = Path(path)

    def _read(self) -> Mapping[str, Peer] | None:
        try:
            with os.scandir(self._path) as entries:
                found = sorted((entry.path, entry.inode()) for entry in entries if entry.name.endswith(SUFFIX))
        except FileNotFoundError:
            return {}
        except OSError as error:
            logger.warning("the folder of sockets cannot be read: %s", error)
            return None
        return {path: Peer(path=path, mark=inode) for path, inode in found}


class PeerList(_Watched):
    """Those at given addresses, or those that a file lists, one ``host:port`` in a line; ``#`` begins a comment.

    The file is read again when it changes; what cannot be read changes nothing.

    Args:
        addresses: the addresses, or the file.
        context: with our certificate, and the authority of theirs; asked for with each connection.

    Raises:
        ConfigError: an address is none, or the connections would not be safe.
    """

    def __init__(self, addresses: Sequence[str] | Path, context: Contexts) -> None:
        super().__init__(FILE_SECONDS)
        if context().verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigError("other machines are reached over TLS that checks their certificates")
        self._context = context
        self._file = addresses if isinstance(addresses, Path) else None
        self._seen: tuple[int, int, int] | None = None
        self._fixed = {} if isinstance(addresses, Path) else self._parse(addresses)

    def _read(self) -> Mapping[str, Peer] | None:
        if self._file is None:
            return self._fixed
        try:
            facts = self._file.stat()
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if seen == self._seen:
                return None
            peers = self._parse(self._file.read_text().splitlines())
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            logger.warning("the list of addresses cannot be read, the last one counts: %s", error)
            return None
        self._seen = seen
        return peers

    def _parse(self, lines: Sequence[str]) -> dict[str, Peer]:
        texts = [text for line in lines if (text := line.partition("#")[0].strip())]
        return {text: self._peer(text) for text in texts}

    def _peer(self, text: str) -> Peer:
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError(f"{text[:80]!r} is not the address of a peer", hint="write host:port", field="directory")
        return Peer(host=host, port=int(port), context=self._context)
