"""How gateways and proxies find and trust each other, as the settings say."""

from __future__ import annotations

import ssl
from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.core.placement.rendezvous import Hosts
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.split import SOCKET, PeerSettings, host_and_port
from shoal.core.tls import TlsFiles, refuse_open_key, server_context
from shoal.serving.hop.proxy.server import ProxyServer
from shoal.serving.peering.directory import Directory, PeerList, SocketFolder

PROTOCOL = "shoal"
"""What both sides say that they speak, by ALPN: a port that speaks anything else is found out in the handshake."""


def directory_of(settings: NodeSettings) -> Directory:
    """Where a gateway looks for its proxies.

    Raises:
        ConfigError: nothing says where, or nothing with which certificate.
    """
    if settings.directory is not None:
        return PeerList(settings.directory, _client_context(settings.peers))
    if not settings.proxies_at:
        raise ConfigError(
            "a gateway needs to know its proxies",
            hint="--proxies-at FOLDER or HOST:PORT,HOST:PORT, or --directory FILE",
            field="proxies_at",
        )
    if ":" in settings.proxies_at:
        return PeerList(settings.proxies_at.split(","), _client_context(settings.peers))
    return SocketFolder(Path(settings.proxies_at).expanduser())


async def listen(server: ProxyServer, settings: NodeSettings) -> str:
    """Let a proxy listen where its settings say; where that is.

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
            f"a proxy needs a place to listen for gateways: {error}", hint=hint, field="listen"
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


def _client_context(peers: PeerSettings | None) -> ssl.SSLContext:
    """For a gateway: what its files hold at the start."""
    peers = _needed(peers)
    try:
        refuse_open_key(peers.key)
        context = ssl.create_default_context(cafile=str(peers.authority))
        context.load_cert_chain(peers.cert, peers.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificates of `peers` cannot be used: {error}", field="peers") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([PROTOCOL])
    return context


def _needed(peers: PeerSettings | None) -> PeerSettings:
    if peers is None:
        raise ConfigError(
            "gateways and proxies on different machines need certificates",
            hint="give both `peers: {cert, key, authority}`, or keep them on one machine with Unix sockets",
            field="peers",
        )
    return peers
