"""What may be tried once more, at another proxy. Pure.

A request that failed at one proxy is tried at another if that cannot do harm: it certainly was not run, or its model is
pure. Once, and only while there is time. Errors that another proxy would repeat, or that say that there is too much to
do, are passed on.

Retries are rationed: no more of them are under way than a share of all requests in flight, and a few. So they cannot
make an overload worse; what is above the ration waits for its turn.
"""

from __future__ import annotations

SHARE = 0.1
FLOOR = 3
ELSEWHERE = frozenset({"unavailable", "not_ready"})
"""Errors that are about this proxy, and perhaps not about the next one."""


def may_retry(*, executed: bool, pure: bool, retried: bool, seconds_left: float) -> bool:
    """Whether a request may be tried at another proxy.

    Args:
        executed: whether the model may have run.
        pure: whether it may run twice.
        retried: whether it was tried twice already.
        seconds_left: until its deadline.
    """
    return not retried and seconds_left > 0 and (pure or not executed)


class Budget:
    """How many retries may be under way."""

    def __init__(self, share: float = SHARE, floor: int = FLOOR) -> None:
        self._share = share
        self._floor = floor
        self.under_way = 0

    def most(self, in_flight: int) -> int:
        """Retries that may be under way while so many requests are in flight."""
        return max(self._floor, int(self._share * in_flight))

    def take(self, in_flight: int) -> bool:
        """Begin a retry, if it may begin now."""
        if self.under_way >= self.most(in_flight):
            return False
        self.under_way += 1
        return True

    def give_back(self) -> None:
        """A retry has ended."""
        self.under_way -= 1
