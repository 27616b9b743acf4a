"""Nothing is allowed that no grant allows, and no role gives more than it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.access import ANY, EVERYBODY, ROLES, Grant, KeyRecord, Permission, Principal, expand

NAMES = st.sampled_from(["default", "fraud", "ads"])
MODELS = st.sampled_from(["iris", "rank"])
WORDS = st.sampled_from([*ROLES, *Permission])
GRANTS = st.builds(Grant, st.lists(WORDS, max_size=3).map(tuple), NAMES | st.just(ANY), MODELS | st.just(ANY))


@given(st.lists(GRANTS, max_size=4), st.sampled_from(list(Permission)), NAMES, MODELS | st.just(ANY))
def test_what_is_allowed_is_what_some_grant_says(
    grants: list[Grant], permission: Permission, namespace: str, model: str
) -> None:
    fitting = [
        grant
        for grant in grants
        if (grant.namespace == ANY or grant.namespace == namespace) and (grant.model == ANY or grant.model == model)
    ]
    expected = any(
        permission == word or permission in ROLES.get(word, ()) for grant in fitting for word in grant.permissions
    )
    assert Principal("k", "k", tuple(grants)).allows(permission, namespace, model) is expected


@given(st.lists(GRANTS, max_size=4), st.sampled_from(list(Permission)), NAMES, MODELS)
def test_a_list_reaches_as_far_as_what_is_allowed(
    grants: list[Grant], permission: Permission, namespace: str, model: str
) -> None:
    principal = Principal("k", "k", tuple(grants))
    within = any(at in (ANY, namespace) and of in (ANY, model) for at, of in principal.reach(permission))
    assert within is principal.allows(permission, namespace, model)


def test_a_grant_on_one_model_says_nothing_of_what_belongs_to_none() -> None:
    one = Principal("k", "k", (Grant(("owner",), "fraud", "iris"),))
    assert one.allows(Permission.PUSH, "fraud", "iris")
    assert not one.allows(Permission.PUSH, "fraud", "rank")
    assert not one.allows(Permission.MANAGE, "fraud")


@pytest.mark.parametrize(
    ("role", "never"),
    [
        ("viewer", set(Permission) - {Permission.READ}),
        ("caller", set(Permission) - {Permission.INFER}),
        (
            "engineer",
            {
                Permission.APPROVE,
                Permission.DEPLOY_CODE,
                Permission.DEPLOY_NETWORK,
                Permission.DELETE,
                Permission.MANAGE,
                Permission.ADMIN,
            },
        ),
        ("qa", {Permission.PUSH, Permission.DEPLOY, Permission.DEPLOY_CODE, Permission.DELETE, Permission.MANAGE}),
        ("owner", {Permission.ADMIN}),
    ],
)
def test_a_role_lacks_what_belongs_to_another(role: str, never: set[Permission]) -> None:
    assert not ROLES[role] & never


def test_without_keys_everybody_may_do_everything() -> None:
    assert all(EVERYBODY.allows(permission, "any", "any") for permission in Permission)


def test_a_word_that_is_neither_is_an_error() -> None:
    with pytest.raises(ValueError, match="god"):
        expand(["god"])


@pytest.mark.parametrize(("tenant", "expected"), [("", "ann"), ("team", "team")])
def test_a_key_stands_for_its_owner_whose_calls_count_to_a_tenant(tenant: str, expected: str) -> None:
    grants = (Grant(("viewer",)),)
    record = KeyRecord(id="k1", name="ann", sha256="", grants=grants, tenant=tenant)
    assert record.principal == Principal("k1", "ann", grants, expected)
