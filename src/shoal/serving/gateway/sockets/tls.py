"""TLS of the data port: `core.tls` with HTTP/2 and HTTP/1.1 by ALPN."""

from __future__ import annotations

import ssl
from pathlib import Path

from shoal.core import tls
from shoal.core.settings.node import NodeSettings

PROTOCOLS = ("h2", "http/1.1")


def context_of(settings: NodeSettings) -> ssl.SSLContext | None:
    """The context of a node's data port, which follows its files; None for clear text.

    Raises:
        ConfigError: see `core.tls.server_context`.
    """
    files = tls.files_of(settings.tls_cert, settings.tls_key, settings.tls_client_ca, settings.tls_clients)
    return None if files is None else tls.server_context(files, PROTOCOLS)


def server_context(certificate: str | Path, key: str | Path | None = None) -> ssl.SSLContext:
    """The context of a certificate (with its chain) and its key, which may be in the same file.

    Raises:
        ConfigError: see `core.tls.server_context`.
    """
    files = tls.TlsFiles(certificate=Path(certificate), key=None if key is None else Path(key))
    return tls.server_context(files, PROTOCOLS)
