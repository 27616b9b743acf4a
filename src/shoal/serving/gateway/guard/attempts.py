"""How often wrong credentials came from each source, and for how long it is not listened to. Pure but for the clock.

A few failures are free: everybody pastes a wrong key once. Each one after that doubles the pause, up to a bound. What
comes in a pause is refused without being looked at, and does not count. Nobody's pause holds up another source, and
those who are known already (the guard's memo) are not asked again. A key's id is no source: it is public, and whoever
knows it could lock its owner out.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import NamedTuple

from shoal.core.clock import Clock

FREE = 10
"""Failures without a pause."""
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0
FORGET = 300.0
"""Seconds without a failure after which a source begins anew."""
KEPT = 4096
"""Sources that are remembered; the one that failed longest ago goes first."""


class _Failures(NamedTuple):
    times: int
    last: float
    until: float


class Attempts:
    """See the module.

    Args:
        clock: monotonic seconds.
        kept: sources that are remembered.
    """

    def __init__(self, clock: Clock, kept: int = KEPT) -> None:
        self._clock = clock
        self._kept = kept
        self._sources: OrderedDict[str, _Failures] = OrderedDict()

    def pause(self, source: str) -> float:
        """Seconds for which the source is not listened to; 0 if it is."""
        known = self._sources.get(source)
        return 0.0 if known is None else max(0.0, known.until - self._clock())

    def failed(self, source: str) -> None:
        """Wrong credentials came from there."""
        now = self._clock()
        known = self._sources.pop(source, None)
        times = 1 if known is None or now - known.last > FORGET else known.times + 1
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2.0 ** min(times - FREE - 1, 30)) if times > FREE else 0.0
        self._sources[source] = _Failures(times, now, now + pause)
        if len(self._sources) > self._kept:
            self._sources.popitem(last=False)

    def __len__(self) -> int:
        return len(self._sources)


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
