"""Which requests are sent to a second proxy as well, because the first one takes long, and whose outcome counts. Pure.

Only models whose requests may run twice, and whose settings ask for it; each request once, and only if it was tried
nowhere else. The first answer wins. An error of one of the two counts at once if the other would have to say the same:
it is about the request. What is about a proxy, or about its time, is for the other to make good.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

from shoal.core.errors import ShoalError

T = TypeVar("T", bound=Hashable)

PASSING = frozenset({"unavailable", "not_ready", "overloaded", "deadline_exceeded", "not_found", "internal"})
"""Errors that are about a proxy and its workers, and not about the request."""
PAUSE_SECONDS = 1.0
"""How long a proxy is not asked again that does not have the model."""


def may_hedge(*, pure: bool, sent: int, seconds_left: float) -> bool:
    """Whether a request that takes long may be sent to another proxy as well.

    Args:
        pure: whether its model may run it twice.
        sent: how often it was sent.
        seconds_left: until its deadline.
    """
    return pure and sent == 1 and seconds_left > 0


def ends(error: ShoalError) -> bool:
    """Whether an error of one proxy is the request's outcome while the other may still answer."""
    return error.code not in PASSING


def outcome(first: ShoalError | None, second: ShoalError) -> ShoalError:
    """What the caller is told when both have failed: the first proxy's word, unless the other's is about the request.

    Args:
        first: what the first proxy said; None: nothing.
        second: what the second one said.
    """
    return second if first is None or ends(second) else first


class Line(Generic[T]):
    """Requests that are in flight, each with the time at which it has taken long; in the order of those times.

    Those of one delay come in order, so there is a line for each delay. What is added and discarded costs the same
    however many there are.
    """

    def __init__(self) -> None:
        self._lines: dict[float, OrderedDict[T, float]] = {}

    def add(self, item: T, delay: float, now: float) -> float:
        """Have it taken long after so many seconds; when that is."""
        line = self._lines.get(delay)
        if line is None:
            line = self._lines[delay] = OrderedDict()
        line[item] = due = now + delay
        return due

    def discard(self, item: T, delay: float) -> None:
        """It is not in flight any more."""
        line = self._lines.get(delay)
        if line is not None:
            line.pop(item, None)

    def due(self, now: float) -> list[T]:
        """Those that have taken long by now; each is told of once."""
        found: list[tuple[float, T]] = []
        for delay, line in list(self._lines.items()):
            while line and (first := next(iter(line.items())))[1] <= now:
                found.append((first[1], first[0]))
                line.popitem(last=False)
            if not line:
                del self._lines[delay]
        return [item for _, item in sorted(found, key=_time)]

    @property
    def next(self) -> float:
        """When the next one will have; `inf`: there is none."""
        return min((next(iter(line.values())) for line in self._lines.values() if line), default=inf)


def _time(found: tuple[float, T]) -> float:
    return found[0]
