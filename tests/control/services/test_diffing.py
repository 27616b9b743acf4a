"""Differences between services: all of them, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.services.diffing import IDENTITY, FieldChange, diff
from shoal.core.service import Autoscaling, Device, Download, Service

BASE = Service(name="iris", model="iris")
WORDS = st.text("ab", min_size=1, max_size=3)
SERVICES = st.builds(
    Service,
    name=WORDS,
    environment=WORDS,
    model=WORDS,
    ref=WORDS,
    replicas=st.integers(0, 3),
    memory_bytes=st.none() | st.integers(1, 2),
    device=st.none() | st.builds(Device, count=st.integers(1, 2)),
    autoscaling=st.none() | st.builds(Autoscaling, max_replicas=st.integers(1, 3), rate=st.none() | st.just(1.0)),
    variables=st.dictionaries(WORDS, WORDS, max_size=2),
    parameters=st.dictionaries(WORDS, st.none() | st.integers(0, 1), max_size=2),
    features=st.lists(WORDS, max_size=2).map(tuple),
)


def test_fields_are_named_as_they_are_nested() -> None:
    old = msgspec.structs.replace(BASE, autoscaling=Autoscaling(max_replicas=2), variables={"A": "1", "B": "2"})
    new = msgspec.structs.replace(
        BASE, autoscaling=Autoscaling(max_replicas=3), variables={"A": "1", "C": "3"}, cpu=2.0
    )
    assert diff(old, new) == (
        FieldChange("cpu", 1.0, 2.0),
        FieldChange("autoscaling.max_replicas", 2, 3),
        FieldChange("variables.B", "2", None),
        FieldChange("variables.C", None, "3"),
    )


def test_lists_and_blocks_that_appear_are_whole() -> None:
    download = Download(namespace="default", model="t", ref="1", dest_path="t")
    new = msgspec.structs.replace(BASE, features=("a",), downloads=(download,), device=Device())
    assert diff(BASE, new) == (
        FieldChange("device", None, msgspec.to_builtins(Device())),
        FieldChange("features", (), ("a",)),
        FieldChange("downloads", (), (msgspec.to_builtins(download),)),
    )


def test_a_service_alone_shows_what_is_not_the_default() -> None:
    new = msgspec.structs.replace(BASE, replicas=3)
    assert diff(None, new) == (FieldChange("model", None, "iris"), FieldChange("replicas", None, 3))
    assert diff(new, None) == (FieldChange("model", "iris", None), FieldChange("replicas", 3, None))
    assert diff(None, None) == ()


def test_where_a_service_is_makes_no_difference() -> None:
    assert diff(BASE, msgspec.structs.replace(BASE, environment="staging", name="other", namespace="team-a")) == ()


def test_a_parameter_that_is_none_is_not_one_that_is_not_there() -> None:
    assert diff(BASE, msgspec.structs.replace(BASE, parameters={"a": None})) == (
        FieldChange("parameters.a", None, None),
    )


def without_identity(service: Service) -> dict[str, Any]:
    fields = msgspec.to_builtins(service)
    return {name: value for name, value in fields.items() if name not in IDENTITY}


@given(SERVICES, SERVICES)
def test_there_is_a_difference_where_services_differ(old: Service, new: Service) -> None:
    assert (diff(old, new) == ()) == (without_identity(old) == without_identity(new))
    assert diff(old, old) == ()


@given(SERVICES, SERVICES)
def test_the_way_back_is_the_same_way(old: Service, new: Service) -> None:
    turned = {FieldChange(each.path, each.new, each.old).path: (each.new, each.old) for each in diff(old, new)}
    assert {each.path: (each.old, each.new) for each in diff(new, old)} == turned


@given(SERVICES, SERVICES)
def test_each_difference_is_what_both_say(old: Service, new: Service) -> None:
    for each in diff(old, new):
        assert (at(old, each.path), at(new, each.path)) == (each.old, each.new)


def at(service: Service, path: str) -> Any:
    value: Any = msgspec.to_builtins(service)
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
