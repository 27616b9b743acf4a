"""What a route costs the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from shoal.control.registry import Registry, open_registry
from shoal.control.services.resolving import Resolver
from shoal.core.registry import Policy
from shoal.core.service import Download, Service
from support.registered import push


class Asked:
    """Transactions and statements that an engine was asked for."""

    def __init__(self) -> None:
        self.transactions = 0
        self.statements: list[str] = []

    def reads(self, table: str) -> int:
        return sum(f"FROM {table}" in each.replace("\n", "") for each in self.statements)


@contextmanager
def asked(registry: Registry) -> Iterator[Asked]:
    """What the registry's engine is asked for in this block."""
    engine, seen = registry._database.engine, Asked()

    def begun(connection: Any) -> None:
        seen.transactions += 1

    def executed(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement != "BEGIN":
            seen.statements.append(statement)

    event.listen(engine, "begin", begun)
    event.listen(engine, "before_cursor_execute", executed)
    try:
        yield seen
    finally:
        event.remove(engine, "begin", begun)
        event.remove(engine, "before_cursor_execute", executed)


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    opened = open_registry(url)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("address", "version", "statements"),
    [
        ("numbered", "", 7),  # position, namespace, service, model, version, its stages, manifest
        ("staged", "", 7),
        ("numbered", "1", 7),
        ("iris", "", 10),  # no service: is there the namespace, the model and its stages, and the model again
        ("two", "", 11),  # a download's model, version, stages and manifest
    ],
)
def test_a_route_is_one_transaction_that_reads_nothing_of_a_service_twice(
    registry: Registry, address: str, version: str, statements: int
) -> None:
    push(registry, "iris", stages=["production"], signature="signed")
    push(registry, "tokens")
    registry.set_policy("default", Policy(signed_stages=("production",), trusted_keys=("key",)))
    registry.put_service(Service(name="numbered", environment="production", model="iris", ref="1"))
    registry.put_service(Service(name="staged", model="iris"))
    fetched = Download(namespace="default", model="tokens", ref="1", dest_path="t")
    registry.put_service(Service(name="two", environment="dev", model="iris", ref="1", downloads=(fetched,)))
    with asked(registry) as seen:
        route = Resolver(registry).resolve(f"{address}+dev" if address == "two" else address, version)
    assert route.target is not None, route.reason
    assert (seen.transactions, len(seen.statements)) == (1, statements), seen.statements


def test_services_of_one_model_share_what_is_read_of_it(registry: Registry) -> None:
    push(registry, "iris", stages=["production"])
    for number in range(5):
        registry.put_service(Service(name=f"s{number}", model="iris"))
    with asked(registry) as seen:
        assert len(Resolver(registry).desired()) == 5
    assert [seen.reads(table) for table in ("namespaces", "versions", "services")] == [1, 1, 2]
