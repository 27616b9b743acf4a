"""Which machine runs which instance of a service.

What runs stays where it is while its machine is there and it still fits. The rest is placed one by one, the hardest
first: devices are packed (the card with the least room that is enough), everything else is spread, replicas of a
service over zones and machines first of all. The same question has the same answer. A machine that comes is filled by
what comes next; what runs moves to it only when `rebalance` is asked for, and then about its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.core.placement.inventory import Instance, Machine, Plan, Spot
from shoal.core.placement.rooms import Rooms


def place(
    instances: Iterable[Instance], machines: Iterable[Machine], current: Mapping[str, Spot] | None = None
) -> Plan:
    """A spot for each instance; those that have one that still fits keep it."""
    return _place(list(instances), Rooms(machines), current or {})


def rebalance(
    instances: Iterable[Instance],
    machines: Iterable[Machine],
    current: Mapping[str, Spot],
    *,
    most: int | None = None,
) -> Plan:
    """A plan in which machines are about equally loaded; at most `most` instances move for that.

    Only instances without devices move: cards are packed on purpose.
    """
    wanted, rooms = list(instances), Rooms(machines)
    plan = _place(wanted, rooms, current)
    movable = {each.id: each for each in wanted if each.device is None and each.id in plan.spots}
    left = len(movable) if most is None else most
    while left > 0 and (step := rooms.best_move(movable)) is not None:
        instance, source, target = step
        source.remove(instance)
        plan.spots[instance.id] = target.add(instance)
        left -= 1
    return Plan(plan.spots, plan.unplaced, _moved(plan.spots, current))


def _place(instances: list[Instance], rooms: Rooms, current: Mapping[str, Spot]) -> Plan:
    spots: dict[str, Spot] = {}
    unplaced: dict[str, str] = {}
    homeless: list[Instance] = []
    for instance in sorted(instances, key=lambda each: each.id):
        room = rooms.still_fitting(instance, current.get(instance.id))
        if room is None:
            homeless.append(instance)
        else:
            spots[instance.id] = room.add(instance, current[instance.id].grant)
    for instance in sorted(homeless, key=_hardest_first):
        best = rooms.best(instance)
        if best is None:
            unplaced[instance.id] = rooms.explain(instance)
        else:
            spots[instance.id] = best.add(instance)
    return Plan(spots, unplaced, _moved(spots, current))


def _hardest_first(instance: Instance) -> tuple[float, float, float, float, str]:
    device = instance.device
    whole = device.count if device and device.memory_bytes is None else 0
    part = (device.memory_bytes or 0) if device else 0
    return (-whole, -part, -instance.cpu, -instance.memory_bytes, instance.id)


def _moved(spots: Mapping[str, Spot], before: Mapping[str, Spot]) -> tuple[str, ...]:
    return tuple(id for id, spot in spots.items() if id in before and before[id].machine != spot.machine)
