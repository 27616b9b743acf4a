"""TLS of our ports: 1.2 or later, certificates of clients if wanted, and new files without a restart.

`server_context` gives one context for the life of a port; who connects asks `Followed` for one each time. Whenever a
handshake begins, and at most once a second, the files are looked at; if they have changed, this handshake and all
later ones use what they hold now. Connections that are open stay as they are. New files that cannot be used are said
once, and the last good ones go on.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""At most so often the files are looked at."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no others."""

ClientRule = Literal["required", "optional"]
_State = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The files of a server, all PEM.

    Attributes:
        certificate: the certificate, followed by its chain.
        key: the private key, without a passphrase; None if it is in `certificate` too.
        client_ca: the authorities whose certificates clients may show; None: clients show none.
        clients: whether every client must show one.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    clients: ClientRule = "required"

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(each for each in (self.certificate, self.key, self.client_ca) if each is not None)


def files_of(
    certificate: Path | None, key: Path | None, client_ca: Path | None, clients: ClientRule
) -> TlsFiles | None:
    """The files that settings name; None for no TLS.

    Raises:
        ConfigError: a key or authorities without a certificate, which would leave a port in clear text unnoticed.
    """
    if certificate is not None:
        return TlsFiles(certificate=certificate, key=key, client_ca=client_ca, clients=clients)
    if key is not None or client_ca is not None:
        field = "tls_key" if key is not None else "tls_client_ca"
        raise ConfigError(f"there is a {field} but no tls_cert", hint="name the certificate, too", field="tls_cert")
    return None


def server_context(files: TlsFiles, protocols: Sequence[str], clock: Clock = monotonic) -> ssl.SSLContext:
    """The context of a server; see the module.

    Args:
        files: looked at again and again.
        protocols: offered by ALPN.
        clock: monotonic seconds.

    Raises:
        ConfigError: a file is missing, cannot be read, is not what it should be, or is a key that others may read.
    """
    followed = Followed(files.all, lambda: _context(files, protocols), clock)
    outer = followed.current()

    def choose(handshake: ssl.SSLObject, name: str | None, outer: ssl.SSLContext) -> None:
        """Called by OpenSSL in each handshake, whether the client has named a server or not."""
        current = followed.current()
        if current is not outer:
            handshake.context = current

    outer.sni_callback = choose
    return outer


def client_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """How this process calls control over HTTPS: `SHOAL_CA` is a file of authorities to trust instead of the system's,
    `SHOAL_CERT` and `SHOAL_CERT_KEY` are the certificate that it shows, where it is asked for one.

    Raises:
        ConfigError: a file is missing or is not PEM.
    """
    named = [environ.get(f"SHOAL_{name}") or None for name in ("CA", "CERT", "CERT_KEY")]
    authorities, certificate, key = named
    try:
        context = ssl.create_default_context(cafile=authorities)
        if certificate is not None:
            context.load_cert_chain(certificate, key, password=no_passphrase)
    except (OSError, ValueError) as error:
        files = ", ".join(each for each in named if each is not None)
        hint = "SHOAL_CA, SHOAL_CERT and SHOAL_CERT_KEY name PEM files"
        raise ConfigError(f"cannot read the TLS files {files}", hint=hint) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def peer_name(certificate: Mapping[str, Any] | None) -> str:
    """Whom a verified client certificate is about: its first URI, DNS name or e-mail address, else its common name.

    Args:
        certificate: as `ssl.SSLSocket.getpeercert` or a transport's ``peercert`` gives it.

    Returns:
        Such as ``spiffe://example.org/batch`` or ``batch.example.org``; "" if nobody has shown one.
    """
    if not certificate:
        return ""
    names = certificate.get("subjectAltName", ())
    for kind in ("URI", "DNS", "email"):
        if found := next((str(value) for key, value in names if key == kind), ""):
            return found
    subject = (pair for part in certificate.get("subject", ()) for pair in part)
    return next((str(value) for key, value in subject if key == "commonName"), "")


class Followed:
    """The context of the newest good files.

    Args:
        files: looked at when the context is asked for, at most once a second.
        make: makes a context of what they hold.
        clock: monotonic seconds.

    Raises:
        ConfigError: `make` cannot.
    """

    def __init__(self, files: Sequence[Path], make: Callable[[], ssl.SSLContext], clock: Clock = monotonic) -> None:
        self._files = files
        self._make = make
        self._clock = clock
        self._seen = self._state()
        self._context = make()
        self._next = clock() + LOOK_SECONDS

    def current(self) -> ssl.SSLContext:
        """The context for a connection that begins now."""
        if self._clock() >= self._next:
            self._look()
        return self._context

    def _look(self) -> None:
        self._next = self._clock() + LOOK_SECONDS
        seen = self._state()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._context = self._make()
        except (ConfigError, OSError) as error:
            logger.error("new TLS files are not used, the last good ones go on: %s", error)
        else:
            logger.info("new TLS files are used from now on", extra={"certificate": str(self._files[0])})

    def _state(self) -> _State:
        return tuple(_identity(path) for path in self._files)


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Changes when a file is written, replaced, or a link to it moved (as Kubernetes does with secrets)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _context(files: TlsFiles, protocols: Sequence[str]) -> ssl.SSLContext:
    for path in files.all:
        _check_readable(path)
    refuse_open_key(files.key or files.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(protocols))
    try:
        context.load_cert_chain(files.certificate, files.key, password=no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"The TLS certificate {files.certificate} and key {files.key or files.certificate} cannot be used: "
            f"{_reason(error)}.",
            hint="Both must be PEM, the key must belong to the certificate and have no passphrase.",
            field="tls_cert",
        ) from error
    if files.client_ca is not None:
        _ask_clients(context, files.client_ca, files.clients)
    return context


def _ask_clients(context: ssl.SSLContext, authorities: Path, clients: ClientRule) -> None:
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        told = f"The authorities of clients in {authorities} cannot be used: {_reason(error)}."
        raise ConfigError(told, hint="It must hold certificates in PEM.", field="tls_client_ca") from error
    context.verify_mode = ssl.CERT_REQUIRED if clients == "required" else ssl.CERT_OPTIONAL
    context.options |= ssl.OP_NO_TICKET  # a resumed session would outlive an authority that was taken out
    context.num_tickets = 0


def refuse_open_key(path: Path) -> None:
    """Raises:
    ConfigError: every user of this machine may read it, or write it.
    """
    if path.stat().st_mode & 0o007:
        told = f"The private key {path} can be used by every user of this machine."
        hint = f"chmod 600 {path}; for a secret of Kubernetes say `defaultMode: 0400`, or 0440 with an fsGroup"
        raise ConfigError(told, hint=hint, field="tls_key")


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        told = f"The TLS file {path} cannot be read: {error.strerror}."
        raise ConfigError(told, hint="Check the path and its permissions.", field="tls_cert") from error


def no_passphrase() -> str:
    """The `password` of keys: nobody is asked for one."""
    raise ValueError("the key has a passphrase")


def _reason(error: ssl.SSLError | ValueError) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).replace("_", " ").lower()
