"""Who owns a key: weighted rendezvous hashing, with bounded load where one owner must not get too much.

Each pair of key and host has a score that depends on nothing else, and the hosts with the highest scores own the key.
So a host that comes takes its share from all the others, one that goes gives its share to all of them, and no other key
moves. A host of twice the weight owns twice as many keys; one of weight 0 owns none. The scores are made of BLAKE2b and
integer arithmetic: they are the same in every process and on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

FACTOR = 1.25
"""How much more than its share a host may get before the next one is asked."""

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


class Hosts:
    """Hosts that share keys.

    Args:
        weights: of each host by name, at least 0.
        zones: of hosts by name; those of no known zone count as one zone.
    """

    def __init__(self, weights: Mapping[str, float], zones: Mapping[str, str] | None = None) -> None:
        self.names = sorted(name for name, weight in weights.items() if weight > 0)
        self._zones = zones or {}
        self._words = np.array([_word(name) for name in self.names], dtype=np.uint64)
        self._weights = np.array([weights[name] for name in self.names], dtype=np.float64)
        self._shares = self._weights / self._weights.sum() if self.names else self._weights

    def scores(self, key: str) -> Floats:
        """What each host (in the order of `names`) bids for a key; always above 0."""
        mixed = _mix(self._words ^ np.uint64(_word(key)))
        uniform = ((mixed >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        bids: Floats = self._weights / -np.log(uniform)
        return bids

    def ranked(self, key: str) -> list[str]:
        """All hosts, the owner first; each zone once before any of them twice."""
        order = np.argsort(-self.scores(key), kind="stable")
        ranked = [self.names[at] for at in order]
        return spread(ranked, self._zones) if self._zones else ranked

    def owners(self, key: str, count: int = 1) -> list[str]:
        """The `count` owners of a key, in different zones where possible; all hosts if there are no more."""
        if count == 1 and self.names:
            return [self.names[int(self.scores(key).argmax())]]
        return self.ranked(key)[:count]

    def choose(self, key: str, load: Mapping[str, float], *, size: float = 1.0, factor: float = FACTOR) -> str | None:
        """The first owner whose load is below `factor` times its share of all load, this key's included.

        A host so never holds more than that and one key. There always is one, unless there are no hosts.
        """
        loads = np.array([load.get(name, 0.0) for name in self.names], dtype=np.float64)
        return self._first_below(key, loads, factor * (float(loads.sum()) + size) * self._shares)

    def assign(self, keys: Collection[str], *, factor: float = FACTOR) -> dict[str, str]:
        """A host for each key, known all at once: the first owner with less than `factor` times its share of them all.

        That bound is known from the start, so fewer keys are sent past their owner, and fewer move with a host, than
        when they come one by one.
        """
        loads, limits = np.zeros(len(self.names)), factor * len(keys) * self._shares
        places = {name: at for at, name in enumerate(self.names)}
        chosen: dict[str, str] = {}
        for key in keys:
            name = self._first_below(key, loads, limits)
            if name is not None:
                chosen[key] = name
                loads[places[name]] += 1.0
        return chosen

    def _first_below(self, key: str, loads: Floats, limits: Floats) -> str | None:
        if not self.names:
            return None
        open_bids = np.where(loads < limits, self.scores(key), -1.0)
        return self.names[int(open_bids.argmax())]


def owners(key: str, hosts: Mapping[str, float], count: int = 1, zones: Mapping[str, str] | None = None) -> list[str]:
    """See `Hosts.owners`; who asks often keeps a `Hosts`."""
    return Hosts(hosts, zones).owners(key, count)


def choose(
    key: str, hosts: Mapping[str, float], load: Mapping[str, float], *, size: float = 1.0, factor: float = FACTOR
) -> str | None:
    """See `Hosts.choose`; who asks often keeps a `Hosts`."""
    return Hosts(hosts).choose(key, load, size=size, factor=factor)


def spread(ranked: Sequence[str], zones: Mapping[str, str]) -> list[str]:
    """The same hosts: the best of each zone first, then the second of each, and so on."""
    seen: dict[str, int] = {}
    turns: list[int] = []
    for name in ranked:
        zone = zones.get(name, "")
        turns.append(seen.get(zone, 0))
        seen[zone] = turns[-1] + 1
    order = sorted(range(len(ranked)), key=lambda at: (turns[at], at))
    return [ranked[at] for at in order]


def skew(counts: Mapping[str, float], hosts: Mapping[str, float]) -> float:
    """The fullest host's load by its weight, over the mean: 1 is even, 2 is twice what is fair; 0 without any load."""
    weights = {name: weight for name, weight in hosts.items() if weight > 0}
    total = sum(counts.get(name, 0.0) for name in weights)
    if not total:
        return 0.0
    mean = total / sum(weights.values())
    return max(counts.get(name, 0.0) / weight for name, weight in weights.items()) / mean


def moved(before: Mapping[str, Collection[str] | str], after: Mapping[str, Collection[str] | str]) -> float:
    """The share of keys of both that have another owner than before, or another set of them."""
    both = before.keys() & after.keys()
    return sum(_owners_of(before[key]) != _owners_of(after[key]) for key in both) / len(both) if both else 0.0


def _owners_of(value: Collection[str] | str) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def _word(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(words: Words) -> Words:
    """Each word scrambled, one to one, so that close words are far apart (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
