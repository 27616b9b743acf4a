"""How gateways and proxies find and trust each other, as the settings say."""

from __future__ import annotations

import ssl
from functools import partial
from pathlib import Path
from typing import Protocol

from shoal.core.errors import ConfigError
from shoal.core.placement.rendezvous import Hosts
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.split import SOCKET, PeerSettings, host_and_port
from shoal.core.tls import Followed, TlsFiles, no_passphrase, refuse_open_key, server_context
from shoal.serving.peering.directory import Contexts, Directory, PeerList, SocketFolder

PROTOCOL = "shoal"
"""What both sides say that they speak, by ALPN: a port that speaks anything else is found out in the handshake."""


def directory_of(settings: NodeSettings) -> Directory:
    """Where a gateway looks for its proxies.

    Raises:
        ConfigError: nothing says where, or nothing with which certificate.
    """
    directory = _directory(settings.proxies_at, settings.directory, settings)
    if directory is None:
        raise ConfigError(
            "a gateway needs to know its proxies",
            hint="--proxies-at FOLDER or HOST:PORT,HOST:PORT, or --directory FILE",
            field="proxies_at",
        )
    return directory


def hosts_of(settings: NodeSettings) -> Directory | None:
    """Where a proxy looks for hosts of workers; None: it has workers of its own.

    Raises:
        ConfigError: nothing says with which certificate.
    """
    return _directory(settings.workers_at, settings.workers_directory, settings)


def _directory(at: str | None, file: Path | None, settings: NodeSettings) -> Directory | None:
    if file is not None:
        return PeerList(file, _client_context(settings.peers))
    if not at:
        return None
    if ":" in at:
        return PeerList(at.split(","), _client_context(settings.peers))
    return SocketFolder(Path(at).expanduser())


class Listener(Protocol):
    """A server that others of us connect to."""

    async def listen_unix(self, path: Path | str) -> None: ...

    async def listen_tcp(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int: ...


async def listen(server: Listener, settings: NodeSettings, *, role: str = "proxy", guests: str = "gateways") -> str:
    """Let a proxy, or another that others connect to, listen where its settings say; where that is.

    Raises:
        ConfigError: they say nothing, or it cannot be had.
    """
    place = settings.listen or ""
    if place.startswith(SOCKET):
        await server.listen_unix(place.removeprefix(SOCKET))
        return place
    try:
        host, port = host_and_port(place)
    except ValueError as error:
        hint = "--listen unix:PATH, or --listen HOST:PORT with certificates under `peers`"
        raise ConfigError(
            f"a {role} needs a place to listen for {guests}: {error}", hint=hint, field="listen"
        ) from error
    port = await server.listen_tcp(host, port, _server_context(settings.peers))
    return f"{host}:{port}"


class Shares:
    """Which of the services that run without being called are this proxy's, of those that a node has.

    Gateways send a service's calls to the first in its ranking, so there it has to be up before it is called.
    """

    def __init__(self, own: str, names: list[str]) -> None:
        self._own = own
        self._hosts = Hosts(dict.fromkeys(names, 1.0))

    def owns(self, address: str) -> bool:
        """Whether this proxy is the first for the address."""
        return self._hosts.owners(self.key(address)) == [self._own]

    @staticmethod
    def key(address: str) -> str:
        """By what gateways share out the calls of an address that name no version."""
        return f"{address}/"


def _server_context(peers: PeerSettings | None) -> ssl.SSLContext:
    """For a proxy: follows its files as they change."""
    peers = _needed(peers)
    files = TlsFiles(certificate=peers.cert, key=peers.key, client_ca=peers.authority)
    return server_context(files, (PROTOCOL,))


def _client_context(peers: PeerSettings | None) -> Contexts:
    """For whoever connects: follows its files as they change."""
    peers = _needed(peers)
    return Followed((peers.cert, peers.key, peers.authority), partial(_made, peers)).current


def _made(peers: PeerSettings) -> ssl.SSLContext:
    try:
        refuse_open_key(peers.key)
        context = ssl.create_default_context(cafile=str(peers.authority))
        context.load_cert_chain(peers.cert, peers.key, password=no_passphrase)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the certificates of `peers` cannot be used: {error}", field="peers") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    return context


def _needed(peers: PeerSettings | None) -> PeerSettings:
    if peers is None:
        raise ConfigError(
            "processes on different machines need certificates to meet",
            hint="give each of them `peers: {cert, key, authority}`, or keep them on one machine with Unix sockets",
            field="peers",
        )
    return peers
