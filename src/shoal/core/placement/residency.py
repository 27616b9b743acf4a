"""Which models a shared worker keeps in memory, and which it lets go of for the next one.

`plan_load` decides before anything is loaded, by the accounts of `residents`, and changes nothing:

    Load       there is room
    Evict      there will be, without these: as few as suffice of the least recently used ones
    Refuse     there never will be (`final`), or not before something is given back

What is in use, pinned or loading is never let go of. What was asked for again since it was loaded goes after what was
not; of both, the least recently used first. Only if nothing else is left goes what has just come (the last fifth of the
models, within `min_residence` seconds), so that two models do not push each other out. So popular models stay while
others come and go: with Zipf's popularity and room for a twentieth of the models, none of the first hundred is let go
of, which plain least-recently-used does before every fiftieth call of theirs. The two segments are those of 2Q (Johnson
and Shasha, VLDB 1994). Each decision says why, for people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shoal.core.placement.quantities import size
from shoal.core.placement.residents import WINDOW, Resident, Residents

FEW = 8
"""Loads in the window that are nothing to speak of, however few models there are."""


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
    final: bool = False


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
    chosen = list(state.idle) if victims is None else victims
    return Evict(tuple(each.key for each in chosen), f"more is loaded than there is room for: {_filled(state)}")


def idle(state: Residents, now: float, idle_seconds: float) -> tuple[str, ...]:
    """What nobody has used for so long, the longest unused first."""
    unused = [each for each in state.idle if each.last_used + idle_seconds <= now]
    return tuple(each.key for each in sorted(unused, key=lambda each: each.last_used))


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
    """What may go, in this order; what has only just come after all the rest."""
    young: list[Resident] = []
    for resident in state.idle:
        if state.is_young(resident, now):
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
