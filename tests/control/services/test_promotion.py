"""Promotion: what was tried is what is served, and the place stays as it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.services.diffing import IDENTITY, diff
from shoal.control.services.promotion import KEPT, TAKEN, bound, promote, promoted
from shoal.core.errors import ConfigError, Conflict, InvalidInput, NotFound
from shoal.core.registry import Policy
from shoal.core.service import Autoscaling, Cache, Download, Service
from support.registered import push

TRIED = Service(
    name="iris",
    environment="staging",
    model="iris",
    ref="staging",
    replicas=1,
    cpu=0.5,
    variables={"LEVEL": "debug"},
    batching={"max_size": 8},
    requirements="numpy==2.0.0\n",
    cache=Cache(seconds=5.0),
    features=("age",),
    downloads=(Download(namespace="default", model="tokens", ref="latest", dest_path="tokens"),),
)
PLACE = Service(
    name="iris",
    model="iris",
    ref="1",
    replicas=3,
    cpu=2.0,
    variables={"LEVEL": "info"},
    autoscaling=Autoscaling(min_replicas=3, max_replicas=9, rate=10.0),
    owner="somebody",
)


def test_each_field_belongs_to_the_service_or_to_the_place() -> None:
    assert sorted((*IDENTITY, *TAKEN, *KEPT)) == sorted(Service.__struct_fields__)


def test_what_was_tried_is_taken_and_the_place_is_kept() -> None:
    made = promoted(TRIED, PLACE, "production")
    assert made.environment == "production"
    assert (made.batching, made.requirements, made.cache) == (TRIED.batching, TRIED.requirements, TRIED.cache)
    assert (made.features, made.downloads) == (TRIED.features, TRIED.downloads)
    assert (made.replicas, made.cpu, made.variables) == (3, 2.0, {"LEVEL": "info"})
    assert made.autoscaling == PLACE.autoscaling


def test_a_place_that_is_not_there_is_made_as_the_source_is() -> None:
    assert diff(TRIED, promoted(TRIED, None, "production")) == ()
    assert promoted(TRIED, None, "production").environment == "production"


def test_versions_become_numbers() -> None:
    made = bound(TRIED, lambda *of: {("default", "iris", "staging"): 7, ("default", "tokens", "latest"): 2}[of])
    assert (made.ref, made.downloads[0].ref) == ("7", "2")


FIELDS = {
    "ref": st.sampled_from("12"),
    "replicas": st.integers(1, 3),
    "cpu": st.sampled_from([1.0, 2.0]),
    "features": st.sampled_from([(), ("a",)]),
    "owner": st.sampled_from(["", "o"]),
}
SERVICES = st.fixed_dictionaries(FIELDS).map(lambda fields: Service(name="x", model="x", **fields))


@given(SERVICES, SERVICES)
def test_after_a_promotion_only_the_place_differs(source: Service, target: Service) -> None:
    made = promoted(source, target, "production")
    assert {each.path for each in diff(source, made)} <= {*KEPT}
    assert {each.path for each in diff(target, made)} <= {*TAKEN}
    assert promoted(source, made, "production") == made


def versions(registry: Any) -> None:
    push(registry, "iris")
    push(registry, "iris", stages=["staging"])
    push(registry, "tokens")


def test_the_number_that_is_served_now_is_promoted(registry: Any) -> None:
    versions(registry)
    registry.put_service(TRIED)
    registry.put_service(PLACE)
    made = promote(registry, "default", "iris", "staging", "production", actor="ann")
    assert (made.ref, made.replicas, made.downloads[0].ref) == ("2", 3, "1")
    assert registry.service("default", "iris").service == made
    assert registry.service("default", "iris").actor == "ann"
    push(registry, "iris", stages=["staging"])
    assert registry.service("default", "iris").service.ref == "2"
    assert registry.service("default", "iris", "staging").service == TRIED


def test_the_first_promotion_makes_the_target(registry: Any) -> None:
    versions(registry)
    registry.put_service(TRIED)
    made = promote(registry, "default", "iris", "staging", "production")
    assert (made.environment, made.ref, made.replicas) == ("production", "2", 1)


def test_what_the_target_could_not_serve_is_not_promoted(registry: Any) -> None:
    versions(registry)
    registry.put_service(TRIED)
    registry.put_service(PLACE)
    registry.set_policy("default", Policy(signed_stages=("production",), trusted_keys=("key",)))
    with pytest.raises(Conflict, match="iris could not serve it: version 2 of the model iris is not signed"):
        promote(registry, "default", "iris", "staging", "production")
    assert registry.service("default", "iris").service == PLACE


def test_a_change_in_between_is_not_overwritten(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(registry)
    registry.put_service(TRIED)
    registry.put_service(PLACE)
    put = registry.put_service
    changed = msgspec.structs.replace(PLACE, replicas=4)

    def put_after_another(service: Service, **said: Any) -> Any:
        put(changed)
        return put(service, **said)

    monkeypatch.setattr(registry, "put_service", put_after_another)
    with pytest.raises(Conflict):
        promote(registry, "default", "iris", "staging", "production")
    assert registry.service("default", "iris").service == changed


def test_what_makes_no_sense_is_refused(registry: Any) -> None:
    versions(registry)
    registry.put_service(msgspec.structs.replace(TRIED, ref="9"))
    with pytest.raises(InvalidInput, match="same environment"):
        promote(registry, "default", "iris", "staging", "staging")
    with pytest.raises(ConfigError, match="cannot be the name of a environment"):
        promote(registry, "default", "iris", "staging", "Prod")
    with pytest.raises(NotFound):
        promote(registry, "default", "iris", "dev", "production")
    with pytest.raises(NotFound, match="has no version '9'"):
        promote(registry, "default", "iris", "staging", "production")
