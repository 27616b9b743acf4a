"""What may be fetched, and how much of it: decided from values alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import msgspec

from shoal.core.errors import ConfigError, PermissionDenied
from shoal.core.outgoing.addresses import Address, Kind, kind_of
from shoal.core.outgoing.urls import Target

VARIABLE = "SHOAL_FETCH_POLICY"
"""Where a worker finds the policy of its node, as JSON; without it, `Allow()`."""


class Allow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a fetch. By default all public hosts are allowed, over HTTP and HTTPS, and nothing private.

    Attributes:
        schemes: of ``http`` and ``https``.
        hosts: names or IP addresses; ``*.example.org`` is all below example.org; None: all.
        private: whether addresses of this machine and this site may be called. Those of a cloud's metadata may never.
        own_ports: ports that this machine does not call of itself, such as that of its control.
        max_bytes: of an answer's body.
        seconds: for all of it, redirects included.
        hops: redirects that are followed; each is checked as the first address was.
    """

    schemes: tuple[str, ...] = ("https", "http")
    hosts: tuple[str, ...] | None = None
    private: bool = False
    own_ports: tuple[int, ...] = ()
    max_bytes: int = 16 * 1024 * 1024
    seconds: float = 10.0
    hops: int = 3

    def check(self, target: Target) -> None:
        """Refuse an address by what it says.

        Raises:
            PermissionDenied: the sentence says why.
        """
        if target.scheme not in self.schemes:
            _deny(f"nothing is fetched over {target.scheme}", f"allowed: {', '.join(self.schemes)}")
        if self.hosts is not None and not any(_covers(each, target.host) for each in self.hosts):
            _deny(f"{target.host[:100]} is no host that may be asked", "the list of hosts is in the settings")

    def check_addresses(self, target: Target, addresses: Sequence[Address]) -> None:
        """Refuse an address by what its host resolves to: one that is not allowed is enough.

        Raises:
            PermissionDenied: it does not say which address that is, as callers may not know this network.
        """
        for each in addresses:
            kind = kind_of(each)
            if kind is Kind.NEVER or (kind is Kind.PRIVATE and not self.private):
                _deny(f"{target.host[:100]} is at an address that may not be called", "only public addresses are")


def policy_of(environ: Mapping[str, str]) -> Allow:
    """The policy that a worker was given.

    Raises:
        ConfigError: it cannot be read.
    """
    text = environ.get(VARIABLE)
    if not text:
        return Allow()
    try:
        return msgspec.json.decode(text, type=Allow)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{VARIABLE} cannot be read: {error}", hint="it is set by the node") from error


def _covers(allowed: str, host: str) -> bool:
    allowed = allowed.lower().strip("[]")
    if allowed.startswith("*."):
        return host.endswith(allowed[1:])
    return host == allowed or _same_address(allowed, host)


def _same_address(allowed: str, host: str) -> bool:
    try:
        return ipaddress.ip_address(allowed) == ipaddress.ip_address(host)
    except ValueError:
        return False


def _deny(sentence: str, hint: str) -> None:
    raise PermissionDenied(sentence, hint=hint, field="url")
