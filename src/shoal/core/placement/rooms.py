"""What each machine has left, and which of them is the best for the next instance: the accounts behind `machines`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from shoal.core.errors import Conflict
from shoal.core.placement import devices
from shoal.core.placement.devices import Cards, Grant
from shoal.core.placement.inventory import Instance, Machine, Spot
from shoal.core.placement.quantities import size

SLACK = 1e-9
"""Processors and shares are sums of floats."""


class Room:
    """One machine and what runs on it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cpu = machine.cpu
        self.memory_bytes = machine.memory_bytes
        self.cards = Cards(machine.cards)
        self.services: Counter[str] = Counter()
        self.instances: dict[str, Instance] = {}

    @property
    def load(self) -> float:
        """The share of its processors or of its memory that is in use, whichever is more."""
        return self._load(self.cpu, self.memory_bytes)

    def load_with(self, instance: Instance, sign: int = 1) -> float:
        """The load with one more instance (or, with -1, one less)."""
        return self._load(self.cpu - sign * instance.cpu, self.memory_bytes - sign * instance.memory_bytes)

    def _load(self, cpu: float, memory_bytes: float) -> float:
        used_cpu = 1 - cpu / self.machine.cpu if self.machine.cpu else 0.0
        used_memory = 1 - memory_bytes / self.machine.memory_bytes if self.machine.memory_bytes else 0.0
        return max(used_cpu, used_memory)

    def has_room(self, instance: Instance) -> bool:
        """Whether processors and memory are enough; cards are another question."""
        return self.cpu + SLACK >= instance.cpu and self.memory_bytes >= instance.memory_bytes

    def fits(self, instance: Instance) -> bool:
        """Whether the instance can be added."""
        return self.has_room(instance) and (instance.device is None or bool(self.cards.fits(instance.device)))

    def tightness(self, instance: Instance) -> float:
        """How much would be left on the card that the instance would get, or how many cards: less is better."""
        assert instance.device is not None
        uses = self.cards.uses
        if instance.device.memory_bytes is None:
            return sum(not use.holders for use in uses)
        chosen = self.cards.fits(instance.device)
        return min(use.free_bytes for use in uses if use.card.id in chosen)

    def add(self, instance: Instance, grant: Grant | None = None) -> Spot:
        """Run it here, on these cards if it has them already."""
        if instance.device is not None:
            grant = self.cards.hold(instance.id, grant) if grant else self.cards.take(instance.id, instance.device)
        self.cpu -= instance.cpu
        self.memory_bytes -= instance.memory_bytes
        self.services[instance.service] += 1
        self.instances[instance.id] = instance
        return Spot(self.machine.name, grant)

    def remove(self, instance: Instance) -> None:
        """It runs here no more."""
        self.cards.release(instance.id)
        self.cpu += instance.cpu
        self.memory_bytes += instance.memory_bytes
        self.services[instance.service] -= 1
        del self.instances[instance.id]


class Rooms:
    """All machines, by pool."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self._rooms = {each.name: Room(each) for each in sorted(machines, key=lambda each: each.name)}
        self._pools: dict[str, list[Room]] = {}
        for room in self._rooms.values():
            self._pools.setdefault(room.machine.pool, []).append(room)

    def still_fitting(self, instance: Instance, spot: Spot | None) -> Room | None:
        """The machine that the instance runs on, if it may stay there; its cards are checked for it as well."""
        room = self._rooms.get(spot.machine) if spot else None
        if spot is None or room is None or room.machine.pool != instance.wanted_pool or not room.has_room(instance):
            return None
        return room if _keeps_cards(room, instance, spot.grant) else None

    def best(self, instance: Instance) -> Room | None:
        """The machine for an instance that runs nowhere; None if it fits nowhere."""
        pool = self._pools.get(instance.wanted_pool, ())
        zones = self._replicas_by_zone(pool, instance.service)
        best: Room | None = None
        least: tuple[float, float, float, float] | None = None
        for room in pool:
            if not room.fits(instance):
                continue
            close = room.tightness(instance) if instance.device else 0.0
            replicas = room.services.get(instance.service, 0)
            load = room.load_with(instance)
            bid = (zones[room.machine.zone], replicas, close, load)
            if least is None or bid < least:
                best, least = room, bid
        return best

    def _replicas_by_zone(self, pool: Iterable[Room], service: str) -> Counter[str]:
        zones: Counter[str] = Counter()
        for room in pool:
            if count := room.services.get(service):
                zones[room.machine.zone] += count
        return zones

    def best_move(self, movable: Mapping[str, Instance]) -> tuple[Instance, Room, Room] | None:
        """The next step towards even loads: what moves, from the fullest machine that can give, to the emptiest."""
        for pool in self._pools.values():
            ordered = sorted(pool, key=lambda room: (room.load, room.machine.name))
            if not ordered or ordered[0].load >= ordered[-1].load:
                continue
            target = ordered[0]
            for source in reversed(ordered[1:]):
                if source.load <= target.load:
                    break
                if (instance := _to_move(source, target, movable)) is not None:
                    return instance, source, target
        return None

    def explain(self, instance: Instance) -> str:
        """Why an instance fits nowhere, as a sentence."""
        pool = self._pools.get(instance.wanted_pool, [])
        if not pool:
            return f"there is no machine in the pool {instance.wanted_pool!r}"
        roomy = [room for room in pool if room.has_room(instance)]
        if roomy and instance.device is not None:
            return devices.explain([use for room in roomy for use in room.cards.uses], instance.device)
        largest = max(pool, key=lambda room: (min(room.cpu, instance.cpu), room.memory_bytes))
        wanted = f"{instance.cpu:g} processors and {size(instance.memory_bytes)}"
        left = f"{largest.machine.name} has {largest.cpu:g} processors and {size(largest.memory_bytes)} left"
        return f"none of the {len(pool)} machines in the pool {instance.wanted_pool!r} has {wanted} free; {left}"


def _keeps_cards(room: Room, instance: Instance, grant: Grant | None) -> bool:
    """Whether an instance still has the cards that it asks for."""
    device = instance.device
    if device is None or grant is None:
        return device is None and grant is None
    asked = 1 if device.memory_bytes is not None else device.count
    if (grant.kind, grant.memory_bytes, len(grant.cards)) != (device.kind, device.memory_bytes, asked):
        return False
    try:
        room.cards.hold(instance.id, grant)
    except Conflict:
        return False
    room.cards.release(instance.id)
    return True


def _to_move(source: Room, target: Room, movable: Mapping[str, Instance]) -> Instance | None:
    """What makes the two more alike, replicas that sit together first; None if nothing does."""
    there = [each for id, each in source.instances.items() if id in movable and target.has_room(each)]
    useful = [each for each in there if target.load_with(each) <= source.load_with(each, -1) + SLACK]
    if not useful:
        return None
    return min(useful, key=lambda each: (target.services[each.service] - source.services[each.service], each.id))
