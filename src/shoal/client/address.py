"""Where a server is: a URL taken apart, and the TLS options for it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from shoal.core.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How a client trusts and proves itself; only used for ``https://``.

    Attributes:
        ca: file of certificates (PEM) to trust instead of the system's.
        cert: the client's own certificate chain (PEM), for servers that ask for one.
        key: its private key (PEM), if it is not in `cert`.
        server_name: the name to expect in the server's certificate, if it is not the URL's host.
    """

    ca: str | Path | None = None
    cert: str | Path | None = None
    key: str | Path | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """A context that verifies the server and offers HTTP/2.

        Raises:
            ConfigError: a file is missing or is not PEM.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.cert, self.key) if path is not None)
            raise ConfigError(f"cannot read the TLS files {files}", hint=str(error)) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2"])
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address.

    Attributes:
        host, port: where to connect.
        secure: whether to speak TLS.
        prefix: path in front of the protocol's own paths, without a slash at its end; usually empty.
    """

    host: str
    port: int
    secure: bool = False
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port as HTTP writes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.prefix}"


def parse_url(url: str) -> Address:
    """The address that a URL or ``host:port`` names.

    Raises:
        ConfigError: it is neither; the sentence says what is wrong.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the URL {url} has no valid port", hint=f"write it like {DEFAULT_URL}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{url!r} is not the address of a server", hint=f"write it like {DEFAULT_URL}")
    secure = parts.scheme == "https"
    return Address(parts.hostname, port or (443 if secure else 80), secure, parts.path.rstrip("/"))
