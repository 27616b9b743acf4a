from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.control.security.rules import RULES, Outcome, Where, judge, sees, target_of
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
