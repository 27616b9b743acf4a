"""Allowances: how much of something that costs us and not the peer is still normal.

A well-behaved peer resets streams, pings, changes settings and sends useless frames now and then; a hostile one does
it at line rate. Each kind has an allowance that refills with time (a token bucket); one that is used up ends the
connection with ENHANCE_YOUR_CALM. Resets are also earned back by streams that end well, so that a busy client with
short deadlines is never taken for an attacker.
"""

from __future__ import annotations

from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault


class Allowance:
    """A bucket of `burst` tokens that refills by `per_second`."""

    __slots__ = ("_at", "_burst", "_left", "_per_second", "_what")

    def __init__(self, what: str, *, burst: float, per_second: float) -> None:
        self._what = what
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._at = 0.0

    def spend(self, now: float) -> None:
        """Use one token.

        Raises:
            ConnectionFault: none is left.
        """
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._left < 1.0:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._what}")
        self._left -= 1.0

    def earn(self) -> None:
        """Give one token back."""
        if self._left < self._burst:
            self._left += 1.0


class Guards:
    """The allowances of one connection."""

    __slots__ = ("pings", "resets", "settings", "useless")

    def __init__(self) -> None:
        self.resets = Allowance("resets", burst=500, per_second=50)
        self.pings = Allowance("pings", burst=500, per_second=50)
        self.settings = Allowance("settings", burst=50, per_second=2)
        self.useless = Allowance("frames that do nothing", burst=1000, per_second=100)
