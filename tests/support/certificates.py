"""Certificates for tests, in files as operators have them."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Certificates:
    """An authority, and what it signs, in a folder.

    Attributes:
        authority: signs everything here.
        ca: its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)

    def issue(self, name: str = "server", *names: str, common_name: str | None = None) -> tuple[Path, Path]:
        """The certificate and key of a name, written over what was there; by default for localhost."""
        made = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")), common_name=common_name)
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(chain)
        made.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return chain, key

    def client(self, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """The context of a client that trusts the authority, and shows a certificate if given one."""
        context = ssl.create_default_context(cafile=self.ca)
        if pair is not None:
            context.load_cert_chain(*pair)
        return context
