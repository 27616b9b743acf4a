"""The accelerators of this machine, lent to the workers of services that ask for them."""

from __future__ import annotations

import itertools

from shoal.core.placement.devices import Card, Cards
from shoal.core.service import Device
from shoal.core.settings.node import NodeSettings
from shoal.serving.pool.lending import Lend, Loan


class Lenders:
    """See the module.

    Args:
        settings: of the node; `devices` says what there is.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._cards = Cards(
            Card(id=each.id, memory_bytes=each.memory, kind=each.kind, model=each.model) for each in settings.devices
        )
        self._holders = itertools.count(1)

    def lend(self, name: str, device: Device | None) -> Lend | None:
        """What lends to each worker of a model; None: it asks for nothing."""
        if device is None:
            return None
        wanted = device

        def lend() -> Loan:
            holder = f"{name}/{next(self._holders)}"
            grant = self._cards.take(holder, wanted)
            return Loan(grant.variables, lambda: self._cards.release(holder))

        return lend
