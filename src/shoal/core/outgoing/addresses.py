"""Which IP addresses are whose: pure.

`kind_of` does not ask `ipaddress.is_global`, which has changed from one Python to the next: the networks are listed
here, after the registries of IANA for special purposes, and what is not listed as public is not.
"""

from __future__ import annotations

import ipaddress
from enum import Enum

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Kind(Enum):
    """Who answers at an address."""

    PUBLIC = "public"
    PRIVATE = "private"
    """This machine, or this site: reached only where private addresses are allowed."""
    NEVER = "never"
    """Metadata of clouds and other link-local addresses, groups, and what stands for no machine."""


_PRIVATE_4 = tuple(map(ipaddress.IPv4Network, (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
)))  # fmt: skip
_NEVER_4 = tuple(map(ipaddress.IPv4Network, (
    "0.0.0.0/8", "100.100.100.200/32", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24",
    "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/3",
)))  # fmt: skip
"""Among them the metadata of Alibaba's cloud, and the wire server of Azure, which look like others."""
_PRIVATE_6 = (ipaddress.IPv6Network("::1/128"), ipaddress.IPv6Network("fc00::/7"))
_METADATA_6 = ipaddress.IPv6Network("fd00:ec2::/32")
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_NEVER_6 = tuple(map(ipaddress.IPv6Network, (
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)))  # fmt: skip
"""Among them Teredo and 6to4, which carry an IPv4 address that nobody would see."""


def kind_of(address: Address) -> Kind:
    """Whose an address is. An IPv4 address within an IPv6 one (``::ffff:127.0.0.1``) counts as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        return _kind_of_6(address)
    if any(address in network for network in _NEVER_4):
        return Kind.NEVER
    return Kind.PRIVATE if any(address in network for network in _PRIVATE_4) else Kind.PUBLIC


def _kind_of_6(address: ipaddress.IPv6Address) -> Kind:
    if address.scope_id is not None:
        return Kind.NEVER
    if address.ipv4_mapped is not None:
        return kind_of(address.ipv4_mapped)
    if address in _METADATA_6:
        return Kind.NEVER
    if any(address in network for network in _PRIVATE_6):
        return Kind.PRIVATE
    public = address in _UNICAST_6 and not any(address in network for network in _NEVER_6)
    return Kind.PUBLIC if public else Kind.NEVER
