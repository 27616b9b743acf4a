"""Which models a shared worker keeps in memory, and which it lets go of for the next one.

`Residents` keeps the accounts: what each model was measured to take, when it was last used, and what is using it now.
Taking and giving back a model is a step of constant time, whatever the number of models, as it happens with every call.
`plan_load` decides before anything is loaded, and changes nothing:

    Load       there is room
    Evict      there will be, without these: the least recently used ones that suffice, and not one more than needed
    Refuse     there never will be (`final`), or not before something is given back

What is in use, pinned or loading is never let go of; what was loaded less than `min_residence` seconds ago only if
nothing else is left, so that two models do not push each other out. Each decision says why, for people.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from shoal.core.errors import Conflict
from shoal.core.placement.quantities import size

MIN_RESIDENCE = 5.0
"""Seconds for which a model that was just loaded is not the next victim."""
WINDOW = 60.0
"""Seconds over which loads are counted; more of them than there are models is called thrash."""
FEW = 8
"""Loads in the window that are nothing to speak of, however few models there are."""


@dataclass(slots=True)
class Resident:
    """A model in memory, or on its way there.

    Attributes:
        key: whatever names it.
        bytes: measured once it is loaded; before, as estimated.
        loaded_at, last_used: monotonic seconds; `last_used` is when its last call ended.
        in_use: calls that run or wait for it.
        loading: it is reserved for, and not there yet.
    """

    key: str
    bytes: int
    loaded_at: float
    last_used: float
    in_use: int = 0
    pinned: bool = False
    loading: bool = False


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
        self._idle: OrderedDict[str, Resident] = OrderedDict()
        self._kept: dict[str, Resident] = {}
        self._loads: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._idle) + len(self._kept)

    def __contains__(self, key: str) -> bool:
        return key in self._idle or key in self._kept

    def __iter__(self) -> Iterator[Resident]:
        """All models: those that may be let go of first, the least recently used one before all others."""
        return chain(self._idle.values(), self._kept.values())

    @property
    def idle(self) -> OrderedDict[str, Resident]:
        """What may be let go of, the least recently used one first. To be read only."""
        return self._idle

    def get(self, key: str) -> Resident | None:
        """What is known of a model."""
        return self._idle.get(key) or self._kept.get(key)

    def reserve(self, key: str, bytes: int, now: float, *, pinned: bool = False) -> None:
        """A model is going to be loaded: its room is taken from now on, and it is counted as a load.

        Raises:
            Conflict: it is there already.
        """
        if key in self:
            raise Conflict(f"{key} is in memory already")
        self._kept[key] = Resident(key, bytes, now, now, loading=True)
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
        self._idle.pop(key, None)
        self._kept[key] = resident
        self._settle(resident)

    def take(self, key: str) -> bool:
        """A call for a model has come: False if it is neither there nor on its way."""
        resident = self._idle.pop(key, None)
        if resident is not None:
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
        resident = self._idle.pop(key, None) or self._kept.pop(key, None)
        if resident is not None:
            self.bytes -= resident.bytes
            self._count_pinned(resident, -1 if resident.pinned else 0)

    def loads(self, now: float) -> int:
        """Loads in the last `WINDOW` seconds."""
        while self._loads and self._loads[0] <= now - WINDOW:
            self._loads.popleft()
        return len(self._loads)

    def _count_pinned(self, resident: Resident, sign: int) -> None:
        self.pinned_count += sign
        self.pinned_bytes += sign * resident.bytes

    def _settle(self, resident: Resident) -> None:
        """Nothing holds it any more: it is the most recently used of those that may be let go of."""
        if not (resident.in_use or resident.pinned or resident.loading):
            del self._kept[resident.key]
            self._idle[resident.key] = resident


@dataclass(frozen=True, slots=True)
class Load:
    """There is room."""

    reason: str


@dataclass(frozen=True, slots=True)
class Evict:
    """There is room without these, in this order."""

    victims: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """There is no room.

    Attributes:
        final: whether there never will be, as things are set; otherwise it is worth trying again when something was
            given back.
    """

    reason: str
    final: bool = field(default=False)


def plan_load(state: Residents, key: str, need_bytes: int, now: float) -> Load | Evict | Refuse:
    """What it takes to load one more model that is likely to need so many bytes."""
    if (never := _never(state, key, need_bytes)) is not None:
        return never
    room, places = _missing(state, need_bytes, 1)
    if room <= 0 and places <= 0:
        return Load(f"there is room for {key} ({size(need_bytes)}): {_filled(state)}")
    victims = _victims(state, room, places, now)
    if victims is None:
        return Refuse(
            f"{key} needs {size(need_bytes)}, and what is loaded is in use, pinned or loading: {_filled(state)}"
        )
    names = ", ".join(f"{each.key} (unused for {now - each.last_used:.3g} s)" for each in victims[:4])
    more = f" and {len(victims) - 4} more" if len(victims) > 4 else ""
    reason = f"{names}{more} let go to make room for {key} ({size(need_bytes)}): {_filled(state)}"
    return Evict(tuple(each.key for each in victims), reason + _thrash(state, now))


def plan_fit(state: Residents, now: float) -> Evict | None:
    """What to let go of when models turned out to be larger than was thought; None if everything fits.

    If that is not enough, all that may go is named: the rest is pinned or in use.
    """
    room, places = _missing(state, 0, 0)
    if room <= 0 and places <= 0:
        return None
    victims = _victims(state, room, places, now)
    chosen = list(state.idle.values()) if victims is None else victims
    return Evict(tuple(each.key for each in chosen), f"more is loaded than there is room for: {_filled(state)}")


def idle(state: Residents, now: float, idle_seconds: float) -> tuple[str, ...]:
    """What nobody has used for so long, the longest unused first."""
    victims = []
    for resident in state.idle.values():
        if resident.last_used + idle_seconds > now:
            break
        victims.append(resident.key)
    return tuple(victims)


def _never(state: Residents, key: str, need_bytes: int) -> Refuse | None:
    """Refuse what does not fit even when all that is not pinned has gone."""
    count, held = state.pinned_count, state.pinned_bytes
    if state.max_bytes is not None and need_bytes + held > state.max_bytes:
        beside = f" beside {count} pinned models of {size(held)}" if count else ""
        reason = f"{key} needs {size(need_bytes)}, and its worker has room for {size(state.max_bytes)}{beside}"
        return Refuse(f"{reason}: give the pool more memory, or the model a worker of its own", final=True)
    if state.max_count is not None and count >= state.max_count:
        return Refuse(f"there is no place for {key}: the {count} pinned models have them all", final=True)
    return None


def _missing(state: Residents, need_bytes: int, count: int) -> tuple[int, int]:
    """Bytes and places that are missing; 0 or less: none."""
    room = 0 if state.max_bytes is None else state.bytes + need_bytes - state.max_bytes
    places = 0 if state.max_count is None else len(state) + count - state.max_count
    return room, places


def _victims(state: Residents, room: int, places: int, now: float) -> list[Resident] | None:
    """The least recently used models that suffice, and no more; None if all of them do not."""
    chosen: list[Resident] = []
    freed = 0
    for resident in _candidates(state, now):
        if freed >= room and len(chosen) >= places:
            break
        chosen.append(resident)
        freed += resident.bytes
    if freed < room or len(chosen) < places:
        return None
    return _without_surplus(chosen, freed - room, len(chosen) - places)


def _candidates(state: Residents, now: float) -> Iterator[Resident]:
    """What may go, the least recently used first; what has only just come after all the rest."""
    young: list[Resident] = []
    for resident in state.idle.values():
        if resident.loaded_at + state.min_residence > now:
            young.append(resident)
        else:
            yield resident
    yield from young


def _without_surplus(chosen: list[Resident], room: int, places: int) -> list[Resident]:
    """Spare each that the others make up for, the most recently used first."""
    needed: list[Resident] = []
    for resident in reversed(chosen):
        if resident.bytes <= room and places > 0:
            room -= resident.bytes
            places -= 1
        else:
            needed.append(resident)
    return needed[::-1]


def _filled(state: Residents) -> str:
    """How full it is, such as ``480 MiB of 512 MiB and 31 of 40 places are taken``."""
    room = size(state.bytes) + ("" if state.max_bytes is None else f" of {size(state.max_bytes)}")
    places = f"{len(state)} models" if state.max_count is None else f"{len(state)} of {state.max_count} places"
    return f"{room} and {places} are taken"


def _thrash(state: Residents, now: float) -> str:
    loads = state.loads(now)
    if loads <= max(FEW, len(state)):
        return ""
    return (
        f"; thrash: {loads} loads within {WINDOW:g} seconds where {len(state)} models fit, "
        "so most are gone before they are used again; give the pool more memory or another worker"
    )
