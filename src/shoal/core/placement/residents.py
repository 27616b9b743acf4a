"""The accounts of a shared worker's memory: what each model takes, when it was last used, and what is using it now.

Taking and giving back a model are steps of constant time, whatever the number of models, as they happen with every
call. What may be let go of stands in the order of its last use, what was asked for again since it was loaded apart from
what was not: most models that are called once are not called again soon, and would push out those that are. What is in
use, pinned or loading stands elsewhere. `residency` decides on this.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from shoal.core.errors import Conflict

MIN_RESIDENCE = 5.0
"""Seconds for which a model that was just loaded is not the next victim."""
SPARED = 0.2
"""Share of the models, those loaded last, for which that holds: else all others would have to go where many come."""
PROVEN = 2
"""Uses, with a pause between them, from which on a model is worth more than one that has just come."""
WINDOW = 60.0
"""Seconds over which loads are counted; more of them than there are models is called thrash."""


@dataclass(slots=True)
class Resident:
    """A model in memory, or on its way there.

    Attributes:
        key: whatever names it.
        bytes: measured once it is loaded; before, as estimated.
        loaded_at, last_used: monotonic seconds; `last_used` is when its last call ended.
        in_use: calls that run or wait for it.
        loading: it is reserved for, and not there yet.
        uses: how often it was asked for when nobody used it.
        turn: its load's number.
    """

    key: str
    bytes: int
    loaded_at: float
    last_used: float
    in_use: int = 0
    pinned: bool = False
    loading: bool = False
    uses: int = 0
    turn: int = 0


class Residents:
    """What is in the memory of one shared worker.

    Args:
        max_bytes: what all models together may take, or None.
        max_count: how many models there may be, or None.
        min_residence: see the module.

    Attributes:
        bytes: of all models, those on their way included.
        pinned_bytes, pinned_count: of those that are pinned.
    """

    def __init__(
        self, *, max_bytes: int | None = None, max_count: int | None = None, min_residence: float = MIN_RESIDENCE
    ) -> None:
        self.max_bytes = max_bytes
        self.max_count = max_count
        self.min_residence = min_residence
        self.bytes = 0
        self.pinned_bytes = 0
        self.pinned_count = 0
        self._fresh: OrderedDict[str, Resident] = OrderedDict()
        self._proven: OrderedDict[str, Resident] = OrderedDict()
        self._kept: dict[str, Resident] = {}
        self._loads: deque[float] = deque()
        self._turn = 0

    def __len__(self) -> int:
        return len(self._fresh) + len(self._proven) + len(self._kept)

    def __contains__(self, key: str) -> bool:
        return key in self._kept or key in self._fresh or key in self._proven

    def __iter__(self) -> Iterator[Resident]:
        """All models: those that may be let go of first."""
        return chain(self.idle, self._kept.values())

    @property
    def idle(self) -> Iterator[Resident]:
        """What may be let go of: what was not asked for again, then the rest; each in the order of its last use."""
        return chain(self._fresh.values(), self._proven.values())

    def is_young(self, resident: Resident, now: float) -> bool:
        """Whether it has come so lately that others go before it."""
        if resident.loaded_at + self.min_residence <= now:
            return False
        return self._turn - resident.turn < max(1, int(SPARED * len(self)))

    def get(self, key: str) -> Resident | None:
        """What is known of a model."""
        return self._kept.get(key) or self._fresh.get(key) or self._proven.get(key)

    def reserve(self, key: str, bytes: int, now: float, *, pinned: bool = False) -> None:
        """A model is going to be loaded: its room is taken from now on, and it is counted as a load.

        Raises:
            Conflict: it is there already.
        """
        if key in self:
            raise Conflict(f"{key} is in memory already")
        self._turn += 1
        self._kept[key] = Resident(key, bytes, now, now, loading=True, turn=self._turn)
        self.bytes += bytes
        self._loads.append(now)
        self.pin(key, pinned, now)

    def loaded(self, key: str, bytes: int, now: float) -> None:
        """A model that was reserved for is there, and was measured; nothing happens if it was removed meanwhile."""
        resident = self._kept.get(key)
        if resident is None:
            return
        resident.loading = False
        resident.loaded_at = resident.last_used = now
        self.resize(key, bytes)
        self._settle(resident)

    def resize(self, key: str, bytes: int) -> None:
        """A model was measured again."""
        resident = self.get(key)
        if resident is not None:
            self.bytes += bytes - resident.bytes
            self.pinned_bytes += bytes - resident.bytes if resident.pinned else 0
            resident.bytes = bytes

    def pin(self, key: str, pinned: bool, now: float) -> None:
        """Whether a model may be let go of at all; one that may again counts as just used."""
        resident = self.get(key)
        if resident is None or resident.pinned == pinned:
            return
        self._count_pinned(resident, 1 if pinned else -1)
        resident.pinned = pinned
        resident.last_used = now
        self._wake(key)
        self._kept[key] = resident
        self._settle(resident)

    def take(self, key: str) -> bool:
        """A call for a model has come: False if it is neither there nor on its way."""
        resident = self._wake(key)
        if resident is not None:
            resident.uses += 1
            self._kept[key] = resident
        else:
            resident = self._kept.get(key)
            if resident is None:
                return False
        resident.in_use += 1
        return True

    def give_back(self, key: str, now: float, calls: int = 1) -> None:
        """Calls for a model have ended, one way or another."""
        resident = self._kept.get(key)
        if resident is None:
            return
        resident.in_use = max(0, resident.in_use - calls)
        resident.last_used = now
        if not resident.in_use:
            self._settle(resident)

    def remove(self, key: str) -> None:
        """A model is gone, or its load has failed."""
        resident = self._wake(key) or self._kept.pop(key, None)
        if resident is not None:
            self.bytes -= resident.bytes
            self._count_pinned(resident, -1 if resident.pinned else 0)

    def loads(self, now: float) -> int:
        """Loads in the last `WINDOW` seconds."""
        while self._loads and self._loads[0] <= now - WINDOW:
            self._loads.popleft()
        return len(self._loads)

    def _wake(self, key: str) -> Resident | None:
        """It may not be let go of for now; None if that was so before."""
        return self._fresh.pop(key, None) or self._proven.pop(key, None)

    def _count_pinned(self, resident: Resident, sign: int) -> None:
        self.pinned_count += sign
        self.pinned_bytes += sign * resident.bytes

    def _settle(self, resident: Resident) -> None:
        """Nothing holds it any more: it is the most recently used of those that may be let go of."""
        if not (resident.in_use or resident.pinned or resident.loading):
            del self._kept[resident.key]
            of_its_kind = self._proven if resident.uses >= PROVEN else self._fresh
            of_its_kind[resident.key] = resident
