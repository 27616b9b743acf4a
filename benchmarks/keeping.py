"""What a client of a server must do that loads and unloads models only when told: keep so many, and choose who goes.

Pure: who is loaded, who is in use, and who was not used for longest. The caller sends the requests.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import NamedTuple


class Taken(NamedTuple):
    """What has to be done before a model can be called.

    Attributes:
        load: it is not loaded.
        victim: which to unload before, if any.
    """

    load: bool
    victim: int | None = None


class Kept:
    """The models that are loaded, the one not used for longest first.

    Args:
        limit: how many there may be; models in use are never victims, so keep it above the connections.
        held: those that are loaded already.
    """

    def __init__(self, limit: int, held: Iterable[int] = ()) -> None:
        self._limit = limit
        self._order: OrderedDict[int, None] = OrderedDict.fromkeys(held)
        self._using: Counter[int] = Counter()

    @property
    def held(self) -> list[int]:
        """All that are loaded."""
        return list(self._order)

    def take(self, model: int) -> Taken:
        """Use a model, until `give_back`."""
        self._using[model] += 1
        if model in self._order:
            self._order.move_to_end(model)
            return Taken(load=False)
        victim = self._victim() if len(self._order) >= self._limit else None
        if victim is not None:
            del self._order[victim]
        self._order[model] = None
        return Taken(load=True, victim=victim)

    def give_back(self, model: int) -> None:
        """Use it no more."""
        self._using[model] -= 1
        if not self._using[model]:
            del self._using[model]

    def _victim(self) -> int | None:
        return next((each for each in self._order if not self._using[each]), None)
