"""Decisions about what may answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.services.serving import check_ref, implicit, parts_of, required_keys, touches
from shoal.core.errors import NotFound, PermissionDenied
from shoal.core.registry import Model, Policy, Version
from shoal.core.routes import Change
from shoal.core.service import Download, Service, address

STAGES = st.sampled_from(["production", "staging", "dev"])
LABELS = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)


def version(signature: str = "") -> Version:
    return Version(namespace="default", model="iris", version=1, digest="d", size=1, signature=signature)


@pytest.mark.parametrize(
    ("stages", "served", "ref"),
    [
        ({}, "production", "latest"),
        ({"staging": 1}, "production", "production"),
        ({"staging": 1}, "staging", "staging"),
        ({}, "", None),
        ({"production": 1}, "", None),
    ],
)
def test_a_model_without_a_service_is_served_by_the_policy(
    stages: dict[str, int], served: str, ref: str | None
) -> None:
    made = implicit(Model(namespace="team-a", name="iris", stages=stages, owner="o"), Policy(served_stage=served))
    assert (made.ref if made else None) == ref
    if made:
        assert (made.address, made.model_namespace, made.owner, made.placement) == (
            "iris@team-a",
            "team-a",
            "o",
            "shared",
        )


@given(st.sets(STAGES), STAGES, STAGES, st.sampled_from(["", "s"]), st.sampled_from([(), ("key",)]))
def test_what_answers_is_signed_wherever_its_policy_wants_that(
    signed: set[str], environment: str, ref: str, signature: str, keys: tuple[str, ...]
) -> None:
    policy = Policy(signed_stages=tuple(signed), trusted_keys=keys)
    wanted = bool(signed & {environment, ref})
    try:
        given_keys = required_keys(version(signature), policy, environment=environment, ref=ref)
    except PermissionDenied:
        assert wanted
        assert not (signature and keys)
    else:
        assert given_keys == (keys if wanted else ())
        assert not wanted or (signature and keys)


@given(NAMES, LABELS, LABELS)
def test_addresses_are_taken_apart_as_they_are_made(name: str, environment: str, namespace: str) -> None:
    assert parts_of(address(name, environment, namespace)) == (name, environment, namespace)


@given(st.text(alphabet="aA0+@.-/ \0é", max_size=12))
def test_other_texts_are_no_addresses(text: str) -> None:
    try:
        name, environment, namespace = parts_of(text)
    except NotFound:
        return
    assert {name, environment, namespace}.isdisjoint({"", "\0", "/"})
    assert parts_of(address(name, environment, namespace)) == (name, environment, namespace)


@pytest.mark.parametrize("ref", ["", "a b", "é", "\0", "x" * 65, "-a"])
def test_other_texts_are_no_versions(ref: str) -> None:
    with pytest.raises(NotFound):
        check_ref(ref)


def test_a_download_that_is_not_fetched_touches_nothing() -> None:
    download = Download(namespace="default", model="tokens", ref="1", dest_path="t")
    service = Service(name="iris", model="iris", downloads=(download,))
    change = Change(number=1, kind="model", namespace="default", name="tokens")
    assert touches(change, service)
    assert not touches(change, Service(name="iris", model="iris", downloads=(download,), autodownload=False))
