"""What answers at an address: services, models without one, and why nothing does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.services.resolving import Resolver
from shoal.core.errors import NotFound
from shoal.core.registry import Policy
from shoal.core.routes import Change, Route
from shoal.core.service import Autoscaling, Download, Service
from support.fake_store import FakeStore
from support.registered import push

SIGNED = Policy(signed_stages=("production",), trusted_keys=("key one", "key two"))


def resolve(registry: Any, address: str, version: str = "") -> Route:
    return Resolver(registry).resolve(address, version)


def version_of(route: Route) -> str:
    return route.target.version if route.target else route.reason


def test_a_service_answers_with_the_version_that_it_names(registry: Any) -> None:
    first = push(registry, "iris")
    push(registry, "iris")
    registry.put_service(Service(name="flowers", model="iris", ref="1", replicas=2))
    route = resolve(registry, "flowers")
    assert route.service.replicas == 2
    assert not route.implicit
    assert route.target is not None
    assert (route.target.model, route.target.version, route.target.digest) == ("iris", "1", first.digest)
    assert route.target.manifest.digest == first.digest
    assert (route.target.runtime, route.reason, route.revision) == ("onnx", "", registry.position())


def test_environments_and_namespaces_are_apart(registry: Any) -> None:
    registry.create_namespace("team-a")
    for namespace in ("default", "team-a"):
        push(registry, "iris", namespace)
        push(registry, "iris", namespace)
    registry.put_service(Service(name="iris", model="iris", ref="1"))
    registry.put_service(Service(name="iris", environment="staging", model="iris", ref="2"))
    team = {"namespace": "team-a", "model_namespace": "team-a"}
    registry.put_service(Service(name="iris", environment="staging", model="iris", ref="1", **team))
    assert [version_of(resolve(registry, each)) for each in ("iris", "iris+staging")] == ["1", "2"]
    theirs = resolve(registry, "iris+staging@team-a")
    assert theirs.target is not None
    assert (theirs.target.namespace, theirs.target.version) == ("team-a", "1")
    assert theirs.service.address == "iris+staging@team-a"


def test_a_service_follows_its_stage(registry: Any) -> None:
    push(registry, "iris", stages=["canary"])
    registry.put_service(Service(name="iris", model="iris", ref="canary"))
    assert version_of(resolve(registry, "iris")) == "1"
    push(registry, "iris", stages=["canary"])
    assert version_of(resolve(registry, "iris")) == "2"


@pytest.mark.parametrize(("ref", "expected"), [("0.1.0", "1"), ("latest", "3"), ("2", "2")])
def test_versions_are_named_in_several_ways(registry: Any, ref: str, expected: str) -> None:
    push(registry, "iris", alias="0.1.0")
    push(registry, "iris")
    push(registry, "iris")
    registry.put_service(Service(name="iris", model="iris", ref=ref))
    assert version_of(resolve(registry, "iris")) == expected


def test_a_model_without_a_service_and_stages_serves_its_latest_version(registry: Any) -> None:
    push(registry, "iris")
    push(registry, "iris")
    route = resolve(registry, "iris")
    assert route.implicit
    assert version_of(route) == "2"
    assert route.service == Service(name="iris", model="iris", ref="latest", placement="shared")


def test_a_model_with_stages_serves_the_one_of_the_policy_alone(registry: Any) -> None:
    push(registry, "iris", stages=["staging"])
    route = resolve(registry, "iris")
    assert route.target is None
    assert "no version of iris has the stage production" in route.reason
    assert "`shoal stage iris production VERSION`" in route.reason
    push(registry, "iris", stages=["production"])
    assert version_of(resolve(registry, "iris")) == "2"
    registry.set_policy("default", Policy(served_stage="staging"))
    assert version_of(resolve(registry, "iris")) == "1"


def test_a_policy_may_serve_nothing_without_a_service(registry: Any) -> None:
    push(registry, "iris")
    registry.set_policy("default", Policy(served_stage=""))
    with pytest.raises(NotFound) as raised:
        resolve(registry, "iris")
    assert "`shoal deploy`" in raised.value.hint


def test_a_model_without_a_service_is_in_production_only(registry: Any) -> None:
    push(registry, "iris")
    with pytest.raises(NotFound, match=r"nothing answers at 'iris\+staging'"):
        resolve(registry, "iris+staging")


def test_a_service_that_is_gone_leaves_the_model(registry: Any) -> None:
    push(registry, "iris")
    push(registry, "iris")
    registry.put_service(Service(name="iris", model="iris", ref="1"))
    registry.delete_service("default", "iris")
    route = resolve(registry, "iris")
    assert (route.implicit, version_of(route)) == (True, "2")


def test_any_live_version_may_be_asked_for(registry: Any) -> None:
    push(registry, "iris", alias="0.1.0")
    push(registry, "iris")
    registry.put_service(Service(name="iris", model="iris", ref="2"))
    assert [version_of(resolve(registry, "iris", each)) for each in ("1", "0.1.0", "2", "")] == ["1", "1", "2", "2"]
    assert resolve(registry, "iris", "1").service.ref == "1"


@pytest.mark.parametrize("version", ["3", "nothing", "1", "a b", "\0", "x" * 100])
def test_a_version_that_is_not_there_is_not_found(registry: Any, version: str) -> None:
    push(registry, "iris")
    push(registry, "iris")
    registry.delete_version("default", "iris", 1)
    with pytest.raises(NotFound):
        resolve(registry, "iris", version)


@pytest.mark.parametrize(
    "address", ["", "nothing", "a b", "iris+", "+", "@", "a@b@c", "a+b+c", "a@b+c", "iris@nowhere", "\0", "x" * 9999]
)
def test_other_addresses_are_not_found(registry: Any, address: str) -> None:
    push(registry, "virginica")
    with pytest.raises(NotFound):
        resolve(registry, address)


def test_near_names_are_suggested(registry: Any) -> None:
    push(registry, "churn-model")
    push(registry, "other")
    registry.put_service(Service(name="chart", environment="staging", model="other"))
    with pytest.raises(NotFound) as raised:
        resolve(registry, "churn-modle")
    assert "did you mean churn-model?" in raised.value.hint
    with pytest.raises(NotFound) as raised:
        resolve(registry, "chart")
    assert "chart+staging" in raised.value.hint


@pytest.mark.parametrize("ref", ["7", "0.9.0", "canary", "1"])
def test_a_service_whose_version_is_not_there_has_a_reason(registry: Any, ref: str) -> None:
    push(registry, "iris")
    push(registry, "iris")
    registry.delete_version("default", "iris", 1)
    registry.put_service(Service(name="iris", model="iris", ref=ref))
    route = resolve(registry, "iris")
    assert route.target is None
    assert "deleted" in route.reason if ref == "1" else f"has no version '{ref}'" in route.reason


def test_a_service_whose_model_is_not_there_has_a_reason(registry: Any) -> None:
    registry.put_service(Service(name="iris", model="nothing"))
    assert "there is no model 'nothing' in namespace default" in resolve(registry, "iris").reason


@pytest.mark.parametrize(("environment", "ref"), [("production", "1"), ("production", "latest"), ("dev", "production")])
def test_what_the_policy_wants_signed_is_not_served_without(registry: Any, environment: str, ref: str) -> None:
    push(registry, "iris", stages=["production"])
    registry.set_policy("default", SIGNED)
    registry.put_service(Service(name="iris", environment=environment, model="iris", ref=ref))
    route = resolve(registry, f"iris+{environment}")
    assert route.target is None
    assert "version 1 of the model iris is not signed" in route.reason
    assert "--sign" in route.reason


def test_signature_and_keys_travel_where_they_are_wanted(registry: Any) -> None:
    push(registry, "iris", signature="signed", stages=["production", "staging"])
    registry.set_policy("default", SIGNED)
    registry.put_service(Service(name="iris", environment="staging", model="iris", ref="staging"))
    production, staging = resolve(registry, "iris").target, resolve(registry, "iris+staging").target
    assert production is not None
    assert staging is not None
    assert (production.signature, production.trusted_keys) == ("signed", SIGNED.trusted_keys)
    assert (staging.signature, staging.trusted_keys) == ("", ())


def test_without_a_trusted_key_nothing_is_taken_for_signed(registry: Any) -> None:
    push(registry, "iris", signature="signed", stages=["production"])
    registry.set_policy("default", msgspec.structs.replace(SIGNED, trusted_keys=()))
    assert "no key is trusted" in resolve(registry, "iris").reason


def test_an_unsigned_model_without_a_service_is_not_served_either(registry: Any) -> None:
    push(registry, "iris")
    registry.set_policy("default", SIGNED)
    assert "is not signed" in resolve(registry, "iris").reason
    assert "is not signed" in resolve(registry, "iris", "1").reason


def test_downloads_are_resolved_with_their_paths(registry: Any) -> None:
    registry.create_namespace("words")
    push(registry, "iris", stages=["production"])
    push(registry, "tokens", "words", alias="0.1.0")
    download = Download(namespace="words", model="tokens", ref="0.1.0", dest_path="tokenizer")
    registry.put_service(Service(name="iris", model="iris", downloads=(download,)))
    (fetched,) = resolve(registry, "iris").downloads
    assert (fetched.target.namespace, fetched.target.version, fetched.dest_path) == ("words", "1", "tokenizer")


def test_a_download_that_is_not_there_keeps_the_service_from_being_ready(registry: Any) -> None:
    push(registry, "iris", stages=["production"])
    push(registry, "tokens")
    download = Download(namespace="default", model="tokens", ref="9", dest_path="tokenizer")
    service = Service(name="iris", model="iris", downloads=(download,))
    registry.put_service(service)
    route = resolve(registry, "iris")
    assert (route.target, route.downloads) == (None, ())
    assert "the model tokens of namespace default has no version '9'" in route.reason
    registry.put_service(msgspec.structs.replace(service, autodownload=False))
    route = resolve(registry, "iris")
    assert (version_of(route), route.downloads) == ("1", ())


def test_public_models_are_told(registry: Any) -> None:
    push(registry, "iris")
    assert not resolve(registry, "iris").public
    registry.set_policy("default", Policy(public=True))
    assert resolve(registry, "iris").public


def test_who_may_use_the_network_is_told(registry: Any) -> None:
    registry.create_namespace("team-a")
    push(registry, "iris")
    for said in (None, True, False):
        registry.put_service(Service(name="own", model="iris", ref="1", network=said))
        assert resolve(registry, "own").network is said
    assert resolve(registry, "iris").network is None, "what the model says"
    registry.put_service(Service(namespace="team-a", name="theirs", model="iris", ref="1", network=True))
    registry.set_policy("team-a", Policy(allow_network=False))
    assert (resolve(registry, "theirs@team-a").network, resolve(registry, "iris").network) == (False, None)
    registry.set_policy("team-a", Policy())
    registry.set_policy("default", Policy(allow_network=False))
    assert [resolve(registry, each).network for each in ("theirs@team-a", "own", "iris")] == [False] * 3


def test_desired_are_the_services_that_run_without_being_called(registry: Any) -> None:
    push(registry, "iris")
    push(registry, "called")
    idle, busy = Autoscaling(min_replicas=0, max_replicas=2), Autoscaling(min_replicas=1, max_replicas=2)
    for service in (
        Service(name="dedicated", model="iris", ref="1"),
        Service(name="scaled", model="iris", ref="1", autoscaling=busy),
        Service(name="to-zero", model="iris", ref="1", autoscaling=idle),
        Service(name="seat", model="iris", ref="1", placement="shared"),
        Service(name="pinned", model="iris", ref="1", placement="shared", pinned=True),
        Service(name="broken", model="nothing"),
        Service(name="dedicated", environment="staging", model="iris", ref="1"),
    ):
        registry.put_service(service)
    desired = Resolver(registry).desired()
    assert [each.service.address for each in desired] == [
        "broken",
        "dedicated",
        "dedicated+staging",
        "pinned",
        "scaled",
    ]
    assert [each.service.address for each in Resolver(registry).desired("staging")] == ["dedicated+staging"]
    assert {each.revision for each in desired} == {registry.position()}


def test_pages_of_services_are_read_to_their_end(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.control.services.resolving.PAGE", 2)
    for number in range(5):
        registry.put_service(Service(name=f"s{number}", model="iris"))
    assert len(Resolver(registry).desired()) == 5


def change(kind: Any, name: str = "", namespace: str = "default", environment: str = "") -> Change:
    return Change(number=1, kind=kind, namespace=namespace, name=name, environment=environment)


def test_a_change_affects_what_stands_on_it(registry: Any) -> None:
    registry.create_namespace("team-a")
    download = Download(namespace="default", model="tokens", ref="1", dest_path="t")
    registry.put_service(Service(name="iris", model="iris", ref="1"))
    registry.put_service(Service(name="flowers", environment="staging", model="iris", downloads=(download,)))
    registry.put_service(Service(name="guest", namespace="team-a", model="iris"))
    affected = Resolver(registry).affected
    assert affected(change("model", "iris")) == {"iris", "flowers+staging", "guest@team-a"}
    assert affected(change("model", "tokens")) == {"tokens", "flowers+staging"}
    assert affected(change("model", "iris", "team-a")) == {"iris@team-a"}
    assert affected(change("service", "flowers", environment="staging")) == {"flowers+staging"}
    assert affected(change("service", "new", "team-a", "production")) == {"new@team-a"}
    assert affected(change("namespace")) == {"iris", "flowers+staging", "guest@team-a"}
    assert affected(change("namespace", namespace="team-a")) == {"guest@team-a"}


NAMES = st.sampled_from(["a", "b"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), NAMES, st.sampled_from(["", "production", "staging"])),
        st.tuples(st.just("put"), NAMES, st.sampled_from(["1", "2", "latest", "staging"])),
        st.tuples(st.just("drop"), NAMES, st.just("")),
        st.tuples(st.just("delete"), NAMES, st.sampled_from(["1", "2"])),
    ),
    max_size=8,
)


def act(registry: FakeStore, action: tuple[str, str, str]) -> None:
    match action:
        case "push", name, stage:
            push(registry, name, stages=[stage] if stage else [])
        case "put", name, ref:
            registry.put_service(Service(name=name, model=name, ref=ref))
        case "drop", name, _:
            if ("default", name, "production") in registry.records:
                registry.records.pop(("default", name, "production"))
        case "delete", name, number:
            if len(registry.kept.get(("default", name), ())) >= int(number):
                registry.delete_version("default", name, int(number))


@given(ACTIONS)
def test_a_route_has_a_live_version_or_a_reason(actions: list[tuple[str, str, str]]) -> None:
    registry = FakeStore()
    for action in actions:
        act(registry, action)
        for name in "ab":
            try:
                route = resolve(registry, name)
            except NotFound:
                assert ("default", name) not in registry.kept
                assert ("default", name, "production") not in registry.records
                continue
            assert (route.target is None) == bool(route.reason)
            if route.target:
                assert not registry.kept["default", name][int(route.target.version) - 1].deleted


@given(ACTIONS, st.lists(st.tuples(NAMES, st.sampled_from(["1", "2", "latest"])), max_size=2))
def test_a_change_that_makes_another_route_names_its_address(
    actions: list[tuple[str, str, str]], followers: list[tuple[str, str]]
) -> None:
    registry = FakeStore()
    for number, (model, ref) in enumerate(followers):
        registry.put_service(Service(name=f"follower{number}", model=model, ref=ref))
    addresses = ["a", "b", *(f"follower{number}" for number in range(len(followers)))]
    for action in actions:
        before = [answers(registry, each) for each in addresses]
        act(registry, action)
        kind = "service" if action[0] in ("put", "drop") else "model"
        affected = Resolver(registry).affected(change(kind, action[1]))
        after = [answers(registry, each) for each in addresses]
        differ = {each for each, old, new in zip(addresses, before, after, strict=True) if old != new}
        assert differ <= affected


def answers(registry: FakeStore, address: str) -> str:
    try:
        return version_of(resolve(registry, address))
    except NotFound:
        return "not found"
