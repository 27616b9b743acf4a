"""The nouns of placement on machines: what there is, what is to run, and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.core.placement.devices import Card, Grant
from shoal.core.service import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is.

    Attributes:
        pool: ``cpu``, ``gpu``, or any other label: what asks for this pool is placed here, nothing else.
        zone: what fails together; "" is a zone as well.
    """

    name: str
    cpu: float
    memory_bytes: int
    cards: tuple[Card, ...] = ()
    pool: str = "cpu"
    zone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What is to run: one worker of a service.

    Attributes:
        id: unique, such as ``iris/0``.
        service: its replicas are kept apart.
        pool: "" takes that of its device's kind, or ``cpu``.
    """

    id: str
    service: str
    cpu: float = 1.0
    memory_bytes: int = 0
    device: Device | None = None
    pool: str = ""

    @property
    def wanted_pool(self) -> str:
        """The pool of machines that it may run on."""
        return self.pool or (self.device.kind if self.device else "cpu")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an instance runs."""

    machine: str
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything runs.

    Attributes:
        spots: by instance.
        unplaced: instances without a spot, each with the reason as a sentence.
        moved: instances that had another spot before.
    """

    spots: dict[str, Spot]
    unplaced: dict[str, str]
    moved: tuple[str, ...] = ()
