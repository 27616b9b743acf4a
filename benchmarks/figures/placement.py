"""Figure 12: placement of 10,000 models and 2,000 instances on 250 simulated machines with 200 cards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.lab import Lab
from benchmarks.summary import Row, Side, Spread, Target
from shoal.core.placement.devices import Card
from shoal.core.placement.inventory import Instance, Machine, Plan
from shoal.core.placement.machines import place, rebalance
from shoal.core.placement.rendezvous import Hosts, moved, owners, skew
from shoal.core.placement.sharding import Shards
from shoal.core.service import Device

FIGURE = 12
GIB = 1 << 30
MODELS = [f"model-{number}" for number in range(10_000)]
SHARED = 400
"""Instances that models share; the others serve one model each."""
PARTS = (None, 2, 6, 12)
"""GiB of a card that the instances with devices ask for; None is a whole one."""


@dataclass(frozen=True)
class Placed:
    """What was decided, and how long it took."""

    plan: Plan
    models: dict[str, str]
    seconds: float


def machines(processors: int = 150, cards: int = 100) -> list[Machine]:
    """Machines in three zones: some with processors only, some with two cards as well."""
    pair = tuple(Card(id=str(at), memory_bytes=24 * GIB, model="nvidia-a30") for at in range(2))
    plain = [machine(f"cpu-{at}", "cpu", at) for at in range(processors)]
    return plain + [machine(f"gpu-{at}", "gpu", at, pair) for at in range(cards)]


def machine(name: str, pool: str, at: int, cards: tuple[Card, ...] = ()) -> Machine:
    """One of them."""
    return Machine(name=name, cpu=64, memory_bytes=256 * GIB, cards=cards, pool=pool, zone="abc"[at % 3])


def instances() -> list[Instance]:
    """1,700 instances of 850 services on processors, 300 with a card or a part of one."""
    plain = [instance(f"c-{at}", replica) for at in range(850) for replica in range(2)]
    return plain + [instance(f"g-{at}", 0, device(PARTS[at % len(PARTS)])) for at in range(300)]


def instance(service: str, replica: int, card: Device | None = None) -> Instance:
    """One of them."""
    return Instance(id=f"{service}/{replica}", service=service, cpu=2, memory_bytes=4 * GIB, device=card)


def device(gib: int | None) -> Device:
    """A card, or so much of one."""
    return Device() if gib is None else Device(memory_bytes=gib * GIB)


def hosts(more: int = 0) -> dict[str, float]:
    """The instances that models share, and some more, all of the same weight."""
    return {each.id: 1.0 for each in instances()[: SHARED + more]}


def decide(inventory: list[Machine]) -> Placed:
    """Everything: instances on machines, models on instances."""
    started = time.perf_counter()
    plan = place(instances(), inventory)
    models = Hosts(hosts()).assign(MODELS)
    return Placed(plan, models, time.perf_counter() - started)


def measure(lab: Lab) -> Iterator[Row]:
    """How long it takes, how even it is, and what moves when a machine or a host is added."""
    rounds = [decide(machines()) for _ in range(lab.repeats)]
    placed = rounds[0]
    yield row(lab, "10,000 models and 2,000 instances on 250 machines", "s", [each.seconds for each in rounds], 5.0)
    yield row(lab, "instances without a place", "", [len(placed.plan.unplaced)], 0.0)
    yield row(
        lab, "models of the fullest host over the mean", "x", [skew(Counter(placed.models.values()), hosts())], 1.3
    )
    for what, share in (("before it is asked for", moved_by(place)), ("when rebalanced", moved_by(rebalance))):
        yield row(lab, f"a machine more: instances that move {what}, over its share", "x", [share], 2.0)
    keep, bounded = models_moved()
    yield row(lab, "a host more: models whose owner moves, over its share", "x", [keep], 2.0)
    yield row(lab, "a host more: models that move with bounded load, over its share", "x", [bounded], 2.0)
    what = "10,000 models of 1,000 tenants with 2 of 20 hosts each: the fullest host over the mean"
    yield row(lab, what, "x", [sharded_skew()], 1.3)


def moved_by(again: Callable[..., Plan]) -> float:
    """Instances on processors that move when such a machine is added, over the share that it ought to have."""
    inventory = machines()
    plan = place(instances(), inventory)
    more = [*inventory, machine("cpu-new", "cpu", 0)]
    share = sum(each.device is None for each in instances()) / sum(each.pool == "cpu" for each in more)
    return len(again(instances(), more, plan.spots).moved) / share


def models_moved() -> tuple[float, float]:
    """Models that move when a host is added, over its share of them: by owner, and by owner with bounded load."""
    few, more = Hosts(hosts()), Hosts(hosts(1))
    owners = [{key: each.owners(key)[0] for key in MODELS} for each in (few, more)]
    share = 1 / (SHARED + 1)
    return moved(*owners) / share, moved(few.assign(MODELS), more.assign(MODELS)) / share


def sharded_skew() -> float:
    """How uneven the hosts are when each tenant's models are on its own two of them."""
    names = {f"host-{at}": 1.0 for at in range(20)}
    shards = Shards(2, 1, names)
    chosen = (owners(key, dict.fromkeys(shards.assign(f"tenant-{at % 1000}"), 1.0))[0] for at, key in enumerate(MODELS))
    return skew(Counter(chosen), names)


def row(lab: Lab, what: str, unit: str, values: list[float], bound: float) -> Row:
    """A row about Shoal alone, whose value must not exceed the bound."""
    ours = Side(lab.subject.name, Spread.of(values))
    result = Row(FIGURE, what, unit, ours, target=Target(bound, at_least=False))
    lab.report(result)
    return result
