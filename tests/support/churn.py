"""A process that changes a registry, to be killed at it.

Change number N is the same for everybody who makes it in the same state, so that what a killed process has left can be
compared with a registry that made the same changes in peace. Each is acknowledged by a
line with its number, and whether the disk would have it.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import sys
from pathlib import Path

from shoal.control.registry import Registry, open_registry
from shoal.core.errors import ShoalError, StorageFull, Unavailable
from shoal.core.service import Service
from support.registrations import new

NOW = 1000.0
_ENTRY = "import support.churn, sys; support.churn.main(sys.argv[1], *map(int, sys.argv[2:]))"


def command(url: str, first: int, last: int) -> list[str]:
    """How it is started; with `environment`."""
    return [sys.executable, "-c", _ENTRY, url, str(first), str(last)]


def environment() -> dict[str, str]:
    """Where it finds this file."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}


def change(registry: Registry, number: int) -> bool:
    """Make one change, or be refused; False: the disk would not have it."""
    dice = random.Random(number)
    stage, version = dice.choice(["production", "staging"]), dice.randint(max(1, number // 3 - 3), number // 3 + 1)
    acts = [
        lambda: registry.register(new(content=f"c{dice.randint(0, 9)}"), key=f"key {number}"),
        lambda: registry.register(new(content=f"c{number}")),
        lambda: registry.register_many([new(f"m{at}", f"c{at}") for at in range(dice.randint(1, 4))]),
        lambda: registry.move_stage("default", "iris", stage, version),
        lambda: registry.move_stage("default", "iris", stage, "latest"),
        lambda: registry.move_stage("default", "iris", stage, None),
        lambda: registry.rollback("default", "iris", stage),
        lambda: registry.delete_version("default", "iris", version),
        lambda: registry.put_service(Service(name="iris", model="iris", replicas=dice.randint(1, 9))),
        lambda: registry.delete_service("default", "iris"),
        lambda: registry.purge(0),
    ]
    try:
        dice.choice(acts)()
    except (StorageFull, Unavailable):
        return False
    except ShoalError:
        pass
    return True


def picture(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables of a SQLite registry."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for (name,) in names}


def visible(registry: Registry) -> list[object]:
    """All that a registry of any engine tells, but for the numbers of its events, which may have gaps."""
    models = registry.models(limit=1000)
    return [
        models,
        [registry.versions("default", each.name, deleted=True, limit=10_000) for each in models],
        [registry.stage_history("default", each.name, limit=10_000) for each in models],
        registry.services(deleted=True),
        [registry.service_history("default", each.service.name) for each in registry.services(deleted=True)],
        [(each.action, each.subject, each.detail) for each in registry.events(100_000)],
        registry.changes(0, 100_000),
        registry.tombstones(),
        list(registry.live_digests()),
    ]


def main(url: str, first: int, last: int) -> None:
    """Make the changes from `first` to `last`."""
    registry = open_registry(url, clock=lambda: NOW)
    for number in range(first, last + 1):
        made = change(registry, number)
        os.write(1, b"%d %d\n" % (number, made))
