"""How wrong credentials are counted by source, and for how long a source is then not listened to.

What comes in a pause is refused without being looked at, and does not count. Those who are known already (the guard's
memo) are not asked again. A key's id is no source: it is public, and whoever knows it could lock its owner out.
"""

from __future__ import annotations

import ipaddress

from shoal.core.attempts import Attempts
from shoal.core.clock import Clock

FREE = 10
"""Failures without a pause."""
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0
FORGET = 300.0
"""Seconds without a failure after which a source begins anew."""
KEPT = 4096
"""Sources that are remembered; the one that failed longest ago goes first."""


def attempts(clock: Clock, kept: int = KEPT) -> Attempts:
    """The count of a guard."""
    return Attempts(clock, free=FREE, first=FIRST_PAUSE, longest=LAST_PAUSE, forget=FORGET, kept=kept)


def source_of(address: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 of an IPv6 one, as anybody has all of that."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
