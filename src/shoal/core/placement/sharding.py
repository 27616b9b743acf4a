"""Shuffle sharding: each tenant gets k of n hosts, so that what one tenant breaks is not all that another has.

`shard` needs no memory: the k best of rendezvous hashing, of which two tenants may by chance get the same. `Shards`
remembers what it gave to whom, and gives no two tenants more than `max_overlap` hosts in common while such shards can
be found; then it allows one more, and so on, and when every shard is taken it gives out the one that the fewest
tenants have. In both, a host that comes or goes moves only its share of tenants, and of each of these one host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, islice

from shoal.core.errors import ConfigError
from shoal.core.placement.rendezvous import Hosts

MAX_HOSTS_PER_TENANT = 8
"""The largest k: the memory of a shard's subsets doubles with each."""
SEARCH_STEPS = 50_000
"""Looks at a host, per search, after which a shard with so little overlap counts as not to be found."""
CANDIDATES = 512
"""Shards that are compared when all are taken."""

Shard = tuple[str, ...]


def shard(tenant: str, hosts: Mapping[str, float], k: int, zones: Mapping[str, str] | None = None) -> Shard:
    """The k hosts of a tenant, the first choice first, in different zones where possible."""
    return tuple(Hosts(hosts, zones).owners(_key(tenant), k))


def _key(tenant: str) -> str:
    """Tenants and models of the same name must not bid alike."""
    return f"tenant {tenant}"


class Shards:
    """Gives shards out and remembers them.

    Args:
        k: hosts of a tenant; all hosts where there are fewer.
        max_overlap: hosts that two tenants may have in common at first; less than k.
        hosts: weights by name.
        zones: of hosts, by name; a shard keeps to different zones where that costs no overlap.
        assignments: what was given out earlier, as `assignments` had it.

    Raises:
        ConfigError: k or the overlap is out of range.
    """

    def __init__(
        self,
        k: int,
        max_overlap: int,
        hosts: Mapping[str, float],
        *,
        zones: Mapping[str, str] | None = None,
        assignments: Mapping[str, Shard] | None = None,
    ) -> None:
        if not 1 <= k <= MAX_HOSTS_PER_TENANT:
            raise ConfigError(f"a tenant has 1 to {MAX_HOSTS_PER_TENANT} hosts, not {k}", field="k")
        if not 0 <= max_overlap < k:
            raise ConfigError(f"the overlap of shards of {k} is 0 to {k - 1}, not {max_overlap}", field="max_overlap")
        self._k = k
        self._max_overlap = max_overlap
        self._zones = dict(zones or {})
        self._hosts = Hosts(hosts, zones)
        self._taken: Counter[frozenset[str]] = Counter()
        self._bound = max_overlap
        self.assignments: dict[str, Shard] = {}
        for tenant, given in (assignments or {}).items():
            self._give(tenant, given)
        self.set_hosts(hosts, zones)

    @property
    def overlap(self) -> int:
        """How many hosts two tenants may have in common at worst by now; k: some have the same shard."""
        used = self._taken.items()
        return max((len(subset) for subset, count in used if count > 1), default=0)

    def assign(self, tenant: str) -> Shard:
        """The tenant's shard; a new one if it has none."""
        if tenant not in self.assignments:
            self._give(tenant, self._find(tenant, ()))
        return self.assignments[tenant]

    def release(self, tenant: str) -> None:
        """The tenant is gone, and its shard is free again."""
        given = self.assignments.pop(tenant, ())
        for subset in _subsets(given):
            self._taken[subset] -= 1
            if not self._taken[subset]:
                del self._taken[subset]
        self._bound = self._max_overlap

    def set_hosts(self, hosts: Mapping[str, float], zones: Mapping[str, str] | None = None) -> list[str]:
        """Hosts have come or gone.

        Returns:
            The tenants whose shards have changed: those that had a host that is gone, and of the others those that
            rendezvous hashing would give a new host to, if that adds no overlap.
        """
        before = set(self._hosts.names)
        self._zones = dict(zones if zones is not None else self._zones)
        self._hosts = Hosts(hosts, self._zones)
        self._bound = self._max_overlap
        there = set(self._hosts.names)
        changed = {tenant for tenant in list(self.assignments) if self._mend(tenant, there)}
        if new := there - before:
            others = [tenant for tenant in self.assignments if tenant not in changed]
            changed |= {tenant for tenant in others if self._invite(tenant, new)}
        return sorted(changed)

    def _mend(self, tenant: str, there: set[str]) -> bool:
        """Replace the hosts of a shard that are gone, or were never there, and only these."""
        given = self.assignments[tenant]
        kept = tuple(name for name in given if name in there)
        if len(kept) == len(given) == min(self._k, len(there)):
            return False
        self.release(tenant)
        self._give(tenant, self._find(tenant, kept))
        return True

    def _invite(self, tenant: str, new: set[str]) -> bool:
        """Swap the last choice of a shard for a new host that is among the tenant's first choices."""
        given = self.assignments[tenant]
        first = self._hosts.owners(_key(tenant), self._k)
        guests = [name for name in first if name in new and name not in given]
        if not guests:
            return False
        bound = self._overlap_of(given, held=1)
        ranks = {name: at for at, name in enumerate(self._hosts.ranked(_key(tenant)))}
        leaves = max(given, key=lambda name: ranks[name])
        swapped = tuple(guests[0] if name == leaves else name for name in given)
        self.release(tenant)
        better = self._overlap_of(swapped, held=0) <= max(bound, self._max_overlap)
        self._give(tenant, swapped if better else given)
        return better

    def _overlap_of(self, given: Shard, *, held: int) -> int:
        """Hosts that this shard has in common with another tenant's at most; `held`: how often it counts itself."""
        return max((len(subset) for subset in _subsets(given) if self._taken[subset] > held), default=0)

    def _give(self, tenant: str, given: Shard) -> None:
        self.assignments[tenant] = given
        self._taken.update(_subsets(given))

    def _find(self, tenant: str, kept: Shard) -> Shard:
        """A shard with the hosts that are kept and the least overlap that can be had.

        A bound that was found to be too tight for somebody who keeps nothing is not tried again until a host or a
        tenant has come or gone: more tenants only make it tighter.
        """
        ranked = [name for name in self._hosts.ranked(_key(tenant)) if name not in kept]
        missing = min(self._k - len(kept), len(ranked))
        for bound in range(self._bound, self._k):
            found = _Search(self._taken, bound, ranked).extend(kept, missing)
            if found is not None:
                return found
            if not kept:
                self._bound = bound + 1
        shards = ((*kept, *more) for more in islice(combinations(ranked, missing), CANDIDATES))
        return min(shards, key=lambda each: self._taken[frozenset(each)])


class _Search:
    """Looks for a shard of which no part of `bound` + 1 hosts is taken, in the order of the tenant's own ranking."""

    def __init__(self, taken: Mapping[frozenset[str], int], bound: int, ranked: list[str]) -> None:
        self._taken = taken
        self._size = bound + 1
        self._ranked = ranked
        self._steps = SEARCH_STEPS

    def extend(self, chosen: Shard, missing: int, start: int = 0) -> Shard | None:
        """The hosts that are chosen and `missing` more; None if there are none."""
        if not missing:
            return chosen
        for at in range(start, len(self._ranked) - missing + 1):
            self._steps -= 1
            if self._steps < 0:
                return None
            name = self._ranked[at]
            if self._fits(chosen, name):
                found = self.extend((*chosen, name), missing - 1, at + 1)
                if found is not None:
                    return found
        return None

    def _fits(self, chosen: Shard, name: str) -> bool:
        parts = combinations(chosen, self._size - 1)
        return not any(self._taken.get(frozenset((*part, name))) for part in parts)


def _subsets(given: Shard) -> Iterator[frozenset[str]]:
    """All parts of a shard but the empty one."""
    return (frozenset(part) for size in range(1, len(given) + 1) for part in combinations(given, size))
