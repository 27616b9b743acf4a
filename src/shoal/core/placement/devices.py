"""Which card: whole cards, or memory on a single one.

A request for memory gets the fitting card with the least free memory, so that large holes stay large; it never spans
cards: 4 GB free on each of two does not make 8. A request for whole cards gets cards that nobody uses. `fit` decides
and changes nothing; `Cards` keeps the accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shoal.core.errors import Conflict, Unavailable
from shoal.core.placement.quantities import size
from shoal.core.service import Device

SHOWN = 8
"""Cards that a refusal lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An accelerator of a machine.

    Attributes:
        id: as its driver names it.
        memory_bytes: all it has.
        kind: a pool of devices, such as ``gpu``.
        model: its type, such as ``nvidia-a30``.
    """

    id: str
    memory_bytes: int
    kind: str = "gpu"
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was given: `memory_bytes` of one card, or whole cards (`memory_bytes` is None)."""

    cards: tuple[str, ...]
    kind: str = "gpu"
    memory_bytes: int | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What the worker is told: the cards it may see, and how much memory of them it may take."""
        cards = ",".join(self.cards)
        told = {"SHOAL_DEVICES": cards, **({"CUDA_VISIBLE_DEVICES": cards} if self.kind == "gpu" else {})}
        if self.memory_bytes is not None:
            told["SHOAL_DEVICE_MEMORY_BYTES"] = str(self.memory_bytes)
        return told


@dataclass(slots=True)
class Use:
    """How a card is used: `whole` by one holder, or in part by several."""

    card: Card
    free_bytes: int
    holders: int = 0
    whole: bool = False


def fit(uses: Sequence[Use], request: Device) -> tuple[str, ...]:
    """The cards for a request; none if it does not fit now."""
    alike = [use for use in uses if _is_asked_for(use.card, request) and not use.whole]
    if request.memory_bytes is None:
        unused = sorted((use for use in alike if not use.holders), key=lambda use: (use.free_bytes, use.card.id))
        return tuple(use.card.id for use in unused[: request.count]) if len(unused) >= request.count else ()
    if request.count != 1:
        return ()
    fitting = [use for use in alike if use.free_bytes >= request.memory_bytes]
    best = min(fitting, key=lambda use: (use.free_bytes, use.card.id), default=None)
    return (best.card.id,) if best else ()


def _is_asked_for(card: Card, request: Device) -> bool:
    return card.kind == request.kind and request.model in ("", card.model)


def explain(uses: Sequence[Use], request: Device) -> str:
    """Why a request does not fit, with what is free on each card, as a sentence."""
    kind = request.model or request.kind
    if request.memory_bytes is not None and request.count != 1:
        return f"memory is asked for on {request.count} cards, and a part of a card is always a part of one"
    alike = [use for use in uses if _is_asked_for(use.card, request)]
    if not alike:
        return f"there is no {kind} here"
    if request.memory_bytes is None:
        return f"{request.count} unused {kind} asked for; {_listed(alike)}"
    return f"no {kind} has {size(request.memory_bytes)} free; {_listed(alike)}"


def _listed(uses: Sequence[Use]) -> str:
    shown = [f"{use.card.id}: {_free(use)}" for use in uses[:SHOWN]]
    more = len(uses) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _free(use: Use) -> str:
    if use.whole:
        return "in use as a whole"
    return f"{size(use.free_bytes)} of {size(use.card.memory_bytes)} free"


class Cards:
    """The cards of a machine, and who holds what of them."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self._uses = {card.id: Use(card, card.memory_bytes) for card in cards}
        self._grants: dict[str, Grant] = {}

    @property
    def uses(self) -> list[Use]:
        """How each card is used now."""
        return list(self._uses.values())

    @property
    def grants(self) -> dict[str, Grant]:
        """What each holder has."""
        return dict(self._grants)

    def fits(self, request: Device) -> tuple[str, ...]:
        """The cards that `take` would give; none if it would refuse."""
        return fit(self.uses, request)

    def take(self, holder: str, request: Device) -> Grant:
        """Give cards, or a part of one, to a holder.

        Raises:
            Unavailable: it does not fit; the sentence lists what is free.
            Conflict: the holder has something already.
        """
        cards = self.fits(request)
        if not cards:
            hint = "wait until something is released, ask for less, or add a card"
            raise Unavailable(explain(self.uses, request), hint=hint, field="device")
        return self.hold(holder, Grant(cards=cards, kind=request.kind, memory_bytes=request.memory_bytes))

    def hold(self, holder: str, grant: Grant) -> Grant:
        """Put a grant that was given earlier into the accounts.

        Raises:
            Conflict: the holder has something already, or the cards have not so much free.
        """
        if holder in self._grants:
            raise Conflict(f"{holder} has {', '.join(self._grants[holder].cards)} already", field="device")
        uses = [self._uses.get(card) for card in grant.cards]
        if not all(use is not None and _is_free(use, grant) for use in uses):
            raise Conflict(f"{', '.join(grant.cards)} cannot be held by {holder}: gone or in use", field="device")
        for use in uses:
            assert use is not None
            use.holders += 1
            use.whole = grant.memory_bytes is None
            use.free_bytes -= use.card.memory_bytes if grant.memory_bytes is None else grant.memory_bytes
        self._grants[holder] = grant
        return grant

    def release(self, holder: str) -> None:
        """Take back what the holder has, if anything."""
        grant = self._grants.pop(holder, None)
        for card in grant.cards if grant else ():
            use = self._uses[card]
            assert grant is not None
            use.holders -= 1
            use.whole = False
            use.free_bytes += use.card.memory_bytes if grant.memory_bytes is None else grant.memory_bytes


def _is_free(use: Use, grant: Grant) -> bool:
    if grant.memory_bytes is None:
        return not use.holders
    return not use.whole and use.free_bytes >= grant.memory_bytes
