from __future__ import annotations

import math

import pytest

from shoal.control.registry import Registry
from shoal.core.clock import ManualClock
from shoal.core.errors import ConfigError, Conflict, InvalidInput, NotFound
from shoal.core.service import Autoscaling, Device, Download, Service


def service(name: str = "iris", **fields: object) -> Service:
    return Service(**{"name": name, "model": name, **fields})  # type: ignore[arg-type]


@pytest.fixture
def filled(registry: Registry) -> Registry:
    registry.create_namespace("team-a")
    registry.put_service(service("iris", owner="ann", description="Tells flowers", tags={"team": "blue"}))
    registry.put_service(service("iris", environment="staging", owner="ann"))
    registry.put_service(service("cars", namespace="team-a", model="vehicles", owner="bob"))
    return registry


def test_a_service_keeps_all_that_was_said(registry: Registry, clock: ManualClock) -> None:
    given = service(
        autoscaling=Autoscaling(max_replicas=90, rate=12.5),
        device=Device(model="nvidia-tesla-t4", memory_bytes=2**31),
        downloads=(Download(namespace="default", model="words", ref="latest", dest_path="words"),),
        variables={"A": "ü"},
        batching={"max_size": 8, "policy": None},
    )
    made = registry.put_service(given, actor="ann")
    assert (made.service, made.revision, made.actor, made.deleted) == (given, 1, "ann", False)
    clock.advance(5)
    again = registry.put_service(service(replicas=2), actor="bob")
    assert (again.revision, again.created, again.updated, again.actor) == (2, 1000.0, 1005.0, "bob")
    assert registry.service("default", "iris") == again


def test_the_same_again_changes_nothing(filled: Registry) -> None:
    position = filled.position()
    assert filled.put_service(service("iris", environment="staging", owner="ann"), expected=7).revision == 1
    assert filled.position() == position


def test_expected_compares_and_sets(filled: Registry) -> None:
    filled.put_service(service(replicas=2), expected=1)
    with pytest.raises(Conflict, match="has revision 2, not revision 1"):
        filled.put_service(service(replicas=3), expected=1)
    with pytest.raises(Conflict, match="is not there"):
        filled.put_service(service("wine"), expected=1)
    with pytest.raises(Conflict):
        filled.delete_service("default", "iris", expected=1)
    assert filled.put_service(service("wine"), expected=0).revision == 1


def test_earlier_revisions_are_kept(filled: Registry) -> None:
    filled.put_service(service(replicas=2), actor="bob")
    filled.delete_service("default", "iris", actor="eve")
    told = [
        (each.revision, each.service.replicas, each.actor, each.deleted)
        for each in filled.service_history("default", "iris")
    ]
    assert told == [(3, 2, "eve", True), (2, 2, "bob", False), (1, 1, "", False)]
    assert len(filled.service_history("default", "iris", limit=2)) == 2


def test_a_deleted_service_is_a_tombstone_that_can_come_back(filled: Registry) -> None:
    assert filled.delete_service("default", "iris").deleted
    with pytest.raises(NotFound, match="was deleted"):
        filled.service("default", "iris")
    assert [each.service.name for each in filled.services(namespace="default")] == ["iris"]
    assert len(filled.services(namespace="default", deleted=True)) == 2
    position = filled.position()
    assert filled.delete_service("default", "iris").revision == 2
    assert filled.position() == position
    assert filled.put_service(service(), expected=0).revision == 3


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["iris", "iris+staging", "cars@team-a"]),
        ({"namespace": "team-a"}, ["cars@team-a"]),
        ({"environment": "staging"}, ["iris+staging"]),
        ({"owner": "ann"}, ["iris", "iris+staging"]),
        ({"search": "FLOWERS"}, ["iris"]),
        ({"search": "team=blue"}, ["iris"]),
        ({"search": "vehicles"}, ["cars@team-a"]),
        ({"search": "bob"}, ["cars@team-a"]),
        ({"search": "%"}, []),
        ({"after": ("default", "iris", "production")}, ["iris+staging", "cars@team-a"]),
        ({"limit": 1}, ["iris"]),
    ],
)
def test_services_are_found(filled: Registry, wanted: dict[str, object], found: list[str]) -> None:
    assert [each.service.address for each in filled.services(**wanted)] == found  # type: ignore[arg-type]


def test_each_change_is_told_by_feed_and_events(filled: Registry) -> None:
    start = filled.position()
    filled.delete_service("default", "iris", "staging", actor="ann")
    (change,) = filled.changes(start).changes
    assert (change.kind, change.namespace, change.name, change.environment) == ("service", "default", "iris", "staging")
    (event,) = filled.events(subject="iris+staging", limit=1)
    assert (event.action, event.actor, event.detail) == ("service.delete", "ann", {"revision": 2})


def test_what_cannot_be_kept_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput):
        registry.put_service(service("a b"))
    with pytest.raises(InvalidInput):
        registry.put_service(service(cpu=math.nan))
    with pytest.raises(InvalidInput):
        registry.put_service(service(owner="a\0b"))
    with pytest.raises(ConfigError):
        registry.put_service(service(environment="Staging"))
    with pytest.raises(NotFound, match="nowhere"):
        registry.put_service(service(namespace="nowhere"))
    assert registry.services() == []


def test_unknown_services_are_told(filled: Registry) -> None:
    for call in (filled.service, filled.service_history, filled.delete_service):
        with pytest.raises(NotFound, match=r"no service 'iris\+test'"):
            call("default", "iris", "test")
        with pytest.raises(NotFound, match="no namespace"):
            call("nowhere", "iris", "test")
