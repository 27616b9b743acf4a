"""The events are one chain, on both engines, whoever writes; what is done to it in the database is found."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from shoal.control.audit.chain import Head
from shoal.control.registry import Registry, open_registry
from support.postgres import Postgres
from support.registrations import new

WRITERS = 6
EACH = 5


def _filled(registry: Registry) -> Registry:
    registry.register_many([new(name) for name in "abcde"], actor="ann")
    registry.move_stage("default", "a", "production", 1, actor="bob")
    registry.deny("eve", "use", "default", "a", {"reason": "no"})
    return registry


def _tamper(registry: Registry, *statements: str) -> None:
    with registry._database.write() as connection:
        for each in statements:
            connection.execute(text(each))


def test_what_is_written_can_be_verified(registry: Registry) -> None:
    verdict = _filled(registry).verify_audit()
    assert (verdict.records, verdict.broken) == (7, 0)
    assert [each.outcome for each in registry.events(limit=2)] == ["denied", "done"]
    assert registry.events(limit=1)[0].hash == verdict.hash


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["UPDATE events SET actor = 'x' WHERE id = 3"], 3),
        (["UPDATE events SET detail = '{' WHERE id = 4"], 4),
        (["UPDATE events SET outcome = 'done' WHERE id = 7"], 7),
        (["DELETE FROM events WHERE id = 2"], 2),
        (["DELETE FROM events WHERE id > 5"], 6),
        (["DELETE FROM events"], 1),
        (
            [
                "UPDATE events SET id = 100 WHERE id = 3",
                "UPDATE events SET id = 3 WHERE id = 4",
                "UPDATE events SET id = 4 WHERE id = 100",
            ],
            3,
        ),
    ],
    ids=["changed", "broken", "outcome", "deleted", "cut", "emptied", "swapped"],
)
def test_what_was_done_to_it_is_found(registry: Registry, statements: list[str], broken: int) -> None:
    _filled(registry)
    _tamper(registry, *statements)
    assert registry.verify_audit().broken == broken


def test_a_tail_that_was_cut_off_with_its_head_is_found_by_one_that_was_remembered(registry: Registry) -> None:
    verdict = _filled(registry).verify_audit()
    earlier = registry.events(limit=1, before=6)[0]
    _tamper(registry, "DELETE FROM events WHERE id > 5", f"UPDATE audit_head SET number = 5, hash = '{earlier.hash}'")
    assert registry.verify_audit().broken == 0
    assert registry.verify_audit(Head(5, earlier.hash)).broken == 0
    assert registry.verify_audit(Head(verdict.number, verdict.hash)).broken == 6


def test_many_writers_of_one_process_make_one_chain(registry: Registry) -> None:
    _at_once(lambda at: registry)
    assert registry.verify_audit().broken == 0


def test_many_servers_of_one_postgres_make_one_chain(postgres: Postgres) -> None:
    with postgres.schema() as url:
        servers = [open_registry(url) for _ in range(3)]
        _at_once(lambda at: servers[at % 3])
        verdict = servers[0].verify_audit()
        assert (verdict.broken, verdict.records) == (0, WRITERS * EACH)
        for each in servers:
            each.close()


def _at_once(server: Callable[[int], Registry]) -> None:
    def write(at: int) -> None:
        for number in range(EACH):
            if number % 2:
                server(at).deny(f"w{at}", "use", "default", "m", {})
            else:
                server(at).register(new(f"m{at}", f"c{number}"), actor=f"w{at}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
