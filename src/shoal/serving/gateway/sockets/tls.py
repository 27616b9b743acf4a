"""TLS of the data port: 1.2 or later, HTTP/2 and HTTP/1.1 by ALPN."""

from __future__ import annotations

import ssl
from pathlib import Path

from shoal.core.errors import ConfigError

PROTOCOLS = ("h2", "http/1.1")


def server_context(certificate: str | Path, key: str | Path | None = None) -> ssl.SSLContext:
    """The context of a server.

    Args:
        certificate: a PEM file with the certificate, followed by its chain.
        key: a PEM file with the private key, without a passphrase; None if it is in `certificate` too.

    Raises:
        ConfigError: a file is missing, cannot be read, or is not what it should be.
    """
    for field, path in (("tls.certificate", certificate), ("tls.key", key)):
        if path is not None:
            _check_readable(field, Path(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(PROTOCOLS))
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"The TLS certificate {certificate} and key {key or certificate} cannot be used: {_reason(error)}.",
            hint="Both must be PEM, the key must belong to the certificate and have no passphrase.",
            field="tls",
        ) from error
    return context


def _check_readable(field: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(
            f"The TLS file {path} cannot be read: {error.strerror}.",
            hint="Check the path and its permissions.",
            field=field,
        ) from error


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _reason(error: ssl.SSLError | ValueError) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).replace("_", " ").lower()
