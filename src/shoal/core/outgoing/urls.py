"""Web addresses, parsed once, and only if there is one way to read them: pure.

What browsers, resolvers and libraries read differently is refused rather than guessed: users and passwords,
backslashes, spaces, characters beyond ASCII (a name with others has an ``xn--`` form), escapes in a host, zones, and
hosts that look like numbers but are not four plain ones (``127.1``, ``0x7f000001``, ``2130706433``).
"""

from __future__ import annotations

import ipaddress
import re
from typing import NoReturn
from urllib.parse import unquote, urljoin

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.outgoing.addresses import Address

MAX_LENGTH = 2048
PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?(\?[^#]*)?(?:#.*)?\Z")
_VISIBLE = re.compile(r"[!-~]+\Z")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([1-9][0-9]{0,4}))?\Z")
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")


class Target(msgspec.Struct, frozen=True):
    """Where an address leads.

    Attributes:
        scheme: ``http`` or ``https``.
        host: a name in lower case without a last dot, or an IP address in its one form, IPv6 without brackets.
        port: said, or the scheme's own.
        path: with the query; begins with ``/``.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> Address | None:
        """The host as an IP address; None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port as they are written: the port only if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What may be shown: without the path, whose query may hold a signature."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.path


def parse(url: str) -> Target:
    """Where an address leads.

    Raises:
        InvalidInput: it is none, is not of the web, or can be read in two ways.
    """
    if len(url) > MAX_LENGTH:
        _refuse(f"is longer than {MAX_LENGTH} characters")
    if not _VISIBLE.match(url) or "\\" in url:
        _refuse("has a space, a backslash, or a character beyond ASCII", "write names as xn--, other characters as %XX")
    match = _URL.match(url)
    if match is None:
        _refuse("is no web address")
    scheme, authority, path, query = match[1].lower(), match[2], match[3] or "/", match[4] or ""
    if scheme not in PORTS:
        _refuse(f"has the scheme {scheme[:20]!a}")
    if "@" in authority:
        _refuse("has a user or a password")
    host, port = _place(authority)
    if any(unquote(part) in (".", "..") for part in path.split("/")):
        _refuse("has '.' or '..' in its path", "write the path as it is, without detours")
    return Target(scheme, host, port or PORTS[scheme], path + query)


def follow(target: Target, location: str) -> Target:
    """Where a redirect leads.

    Raises:
        InvalidInput: as for `parse`.
    """
    if not _VISIBLE.match(location) or "\\" in location:
        _refuse("redirects to what is no web address")
    return parse(urljoin(str(target), location))


def _place(authority: str) -> tuple[str, int]:
    match = _AUTHORITY.match(authority)
    if match is None:
        _refuse("has no host that is plain", "a name, an IPv4 address of four numbers, or [IPv6]; then :PORT")
    port = int(match[2] or 0)
    if port > 65535:
        _refuse("has a port above 65535")
    if match[1].startswith("["):
        return _six(match[1][1:-1]), port
    host = match[1].lower().removesuffix(".")
    if _NUMBER.match(host.rpartition(".")[2]):
        return _four(host), port
    if not _NAME.match(host):
        _refuse("has a host that is no name")
    return host, port


def _six(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        _refuse("has an IPv6 address that is none")


def _four(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        _refuse("has a host that looks like a number", "write an IPv4 address as four decimal numbers")
    return str(address)


def _refuse(why: str, hint: str = "") -> NoReturn:
    raise InvalidInput(f"the address {why}", hint=hint or "such as https://images.example.org/1.png", field="url")
