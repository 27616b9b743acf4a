"""Which proxy has a model. Pure.

Batches form where requests meet, so all requests for a model go to one proxy: the first in its ranking by rendezvous
hashing, which is the same in every gateway and after every restart. Only a model that is too hot for one proxy gets
another owner: when it has at least so many rows in flight at each of its owners, and those have more to do than the
mean of all proxies by a factor. It loses the last one when, without it, the others would have less than half of
those rows each for a while: far enough from what it was given it for that it does not come and go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

from shoal.core.placement.rendezvous import FACTOR, Hosts

SHRINK_SECONDS = 5.0
"""How long a model has to be cool before it loses an owner."""
KEPT = 100_000
"""Rankings that are remembered."""


class Choice:
    """See the module.

    Args:
        hot_rows: rows in flight at an owner that make a model hot.
        factor: how much more than the mean a proxy may have.

    Attributes:
        revision: grows when any owner may have changed.
    """

    def __init__(self, hot_rows: float, factor: float = FACTOR) -> None:
        self._hot_rows = hot_rows
        self._factor = factor
        self._hosts = Hosts({})
        self._ranked: dict[str, tuple[str, ...]] = {}
        self._spread: dict[str, int] = {}
        self._cool_since: dict[str, float] = {}
        self.revision = 0

    @property
    def hosts(self) -> list[str]:
        """The proxies that are chosen among."""
        return self._hosts.names

    def update(self, names: Collection[str]) -> None:
        """Choose among these proxies from now on."""
        if sorted(names) == self._hosts.names:
            return
        self._hosts = Hosts(dict.fromkeys(names, 1.0))
        self._ranked.clear()
        self.revision += 1

    def ranked(self, key: str) -> tuple[str, ...]:
        """All proxies, the first owner first."""
        ranked = self._ranked.get(key)
        if ranked is None:
            if len(self._ranked) >= KEPT:
                self._ranked.clear()
            ranked = self._ranked[key] = tuple(self._hosts.ranked(key))
        return ranked

    def owners(self, key: str) -> tuple[str, ...]:
        """The proxies that have this model: one, but for hot models; none only if there is no proxy."""
        return self.ranked(key)[: self._spread.get(key, 1)]

    def balance(self, now: float, rows: Mapping[str, float], loads: Mapping[str, float]) -> None:
        """Give hot models another owner, and take it from those that have cooled down.

        Args:
            now: monotonic seconds.
            rows: in flight, of each model that has any.
            loads: rows in flight of each proxy, whoever's they are.
        """
        before = dict(self._spread)
        hosts = self._hosts.names
        mean = sum(loads.get(name, 0.0) for name in hosts) / len(hosts) if hosts else inf
        for key, count in rows.items():
            if count >= self._hot_rows:
                self._grow(key, count, mean, loads)
        for key in list(self._spread):
            self._shrink(key, rows.get(key, 0.0), now)
        if self._spread != before:
            self.revision += 1

    def _grow(self, key: str, count: float, mean: float, loads: Mapping[str, float]) -> None:
        owners = self.owners(key)
        if len(owners) >= len(self._hosts.names) or count / len(owners) < self._hot_rows:
            return
        if min(loads.get(name, 0.0) for name in owners) > self._factor * mean:
            self._spread[key] = len(owners) + 1

    def _shrink(self, key: str, count: float, now: float) -> None:
        if count >= self._hot_rows / 2 * (self._spread[key] - 1):
            self._cool_since.pop(key, None)
        elif now - self._cool_since.setdefault(key, now) >= SHRINK_SECONDS:
            del self._cool_since[key]
            self._spread[key] -= 1
            if self._spread[key] == 1:
                del self._spread[key]
