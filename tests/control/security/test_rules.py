from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.security.rules import RULES, Outcome, Rule, Where, judge, sees, target_of
from shoal.core.access import ANY, EVERYBODY, ROLES, Grant, Permission, Principal, expand

NAMES = st.sampled_from(["default", "fraud"])
MODELS = st.sampled_from(["iris", "rank"])
GRANTS = st.builds(
    Grant,
    st.lists(st.sampled_from([*ROLES, *Permission]), max_size=2).map(tuple),
    NAMES | st.just(ANY),
    MODELS | st.just(ANY),
)
PRINCIPALS = st.lists(GRANTS, max_size=3).map(lambda grants: Principal("k", "k", tuple(grants)))
ROUTES = st.sampled_from(sorted(RULES))


@given(PRINCIPALS, ROUTES, NAMES, MODELS)
def test_who_gets_through_holds_a_permission_that_the_route_takes(
    principal: Principal, route: str, namespace: str, model: str
) -> None:
    rule = RULES[route]
    path = {"namespace": namespace, "name": model, "address": f"{model}@{namespace}"}
    target = target_of(rule, path, {"namespace": namespace, "name": model})
    outcome = judge(rule, principal, target)
    held = {each for grant in principal.grants for each in expand(grant.permissions)}
    if rule.where is Where.OPEN:
        assert outcome is Outcome.ALLOWED
    elif outcome is Outcome.ALLOWED:
        assert held & set(rule.any_of)
    elif target is not None:
        assert (outcome is Outcome.FORBIDDEN) is sees(principal, target)
    else:
        assert outcome is Outcome.FORBIDDEN


@given(PRINCIPALS, NAMES, MODELS)
def test_grants_elsewhere_open_nothing_here(principal: Principal, namespace: str, model: str) -> None:
    there = {"namespace": "elsewhere", "name": "other", "address": "other@elsewhere"}
    local = Principal("k", "k", tuple(each for each in principal.grants if each.namespace != ANY))
    for name, rule in RULES.items():
        target = target_of(rule, there, there)
        if target is not None:
            assert judge(rule, local, target) is Outcome.HIDDEN, name


def test_everybody_gets_through_everywhere() -> None:
    path = {"namespace": "a", "name": "b", "address": "b"}
    assert {judge(rule, EVERYBODY, target_of(rule, path, {})) for rule in RULES.values()} == {Outcome.ALLOWED}


@pytest.mark.parametrize(
    ("where", "target"),
    [
        (Where.OPEN, None),
        (Where.SOMEWHERE, None),
        (Where.EVERYWHERE, None),
        (Where.NAMED, ("fraud", "iris")),
        (Where.NAMESPACE, ("fraud", ANY)),
        (Where.ADDRESS, ("other", "rank")),
        (Where.ASKED, ("asked", "about")),
    ],
)
def test_what_a_request_is_about_is_where_its_rule_looks(where: Where, target: tuple[str, str] | None) -> None:
    path = {"namespace": "fraud", "name": "iris", "address": "rank+staging@other"}
    assert target_of(Rule(where), path, {"namespace": "asked", "name": "about"}) == target


def test_a_query_that_names_nothing_asks_about_the_default_namespace_and_no_model() -> None:
    assert target_of(Rule(Where.ASKED), {}, {}) == ("default", "")


def holder(permission: Permission, namespace: str, model: str = ANY) -> Principal:
    return Principal("k", "k", (Grant((permission.value,), namespace, model),))


@pytest.mark.parametrize(
    ("rule", "principal", "target", "outcome"),
    [
        (Rule(Where.NAMESPACE, (Permission.READ,)), holder(Permission.READ, "a", "iris"), ("a", ANY), Outcome.ALLOWED),
        (
            Rule(Where.NAMESPACE, (Permission.PUSH,)),
            holder(Permission.READ, "a", "iris"),
            ("a", ANY),
            Outcome.FORBIDDEN,
        ),
        (Rule(Where.NAMESPACE, (Permission.PUSH,)), holder(Permission.READ, ANY), ("a", ANY), Outcome.FORBIDDEN),
        (Rule(Where.NAMESPACE, (Permission.PUSH,)), holder(Permission.READ, "b"), ("a", ANY), Outcome.HIDDEN),
        (Rule(Where.NAMED, (Permission.NODE,)), holder(Permission.NODE, ANY), ("a", "iris"), Outcome.ALLOWED),
        (Rule(Where.NAMED, (Permission.NODE,)), holder(Permission.NODE, "a"), ("a", "iris"), Outcome.HIDDEN),
        (Rule(Where.EVERYWHERE, (Permission.ADMIN,)), holder(Permission.ADMIN, "a"), None, Outcome.FORBIDDEN),
        (Rule(Where.EVERYWHERE, (Permission.ADMIN,)), holder(Permission.ADMIN, ANY), None, Outcome.ALLOWED),
        (Rule(Where.SOMEWHERE, (Permission.PUSH,)), holder(Permission.PUSH, "a", "iris"), None, Outcome.ALLOWED),
        (Rule(Where.SOMEWHERE, (Permission.PUSH,)), holder(Permission.READ, ANY), None, Outcome.FORBIDDEN),
        (Rule(Where.NAMED), holder(Permission.READ, "a"), ("a", "iris"), Outcome.FORBIDDEN),
        (Rule(Where.OPEN), Principal("", "nobody"), None, Outcome.ALLOWED),
    ],
)
def test_each_outcome(rule: Rule, principal: Principal, target: tuple[str, str] | None, outcome: Outcome) -> None:
    assert judge(rule, principal, target) is outcome


def test_the_routes_whose_body_is_looked_at_are_these() -> None:
    assert sorted(name for name, rule in RULES.items() if rule.body) == [
        "DELETE /v1/keys/{id}",
        "GET /v1/blobs/{sha256}",
        "GET /v1/manifests/{digest}",
        "HEAD /v1/blobs/{sha256}",
        "POST /v1/blobs/missing",
        "POST /v1/diff",
        "POST /v1/keys",
        "POST /v1/register-many",
        "PUT /v1/services/{namespace}/{name}/{environment}",
    ]
