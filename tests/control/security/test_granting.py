"""Nobody gives away more than they have, whatever they hold and whatever is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.security.granting import check, manages, tenant_for
from shoal.core.access import ANY, ROLES, Grant, Permission, Principal, expand
from shoal.core.errors import InvalidInput, PermissionDenied
from shoal.core.keyring import KeyEntry, KeyRequest

NAMES = st.sampled_from(["default", "fraud", ANY])
MODELS = st.sampled_from(["iris", ANY])
GRANTS = st.builds(Grant, st.lists(st.sampled_from([*ROLES, *Permission]), max_size=3).map(tuple), NAMES, MODELS)
MANY = st.lists(GRANTS, min_size=1, max_size=3).map(tuple)
HOLDERS = MANY.map(lambda grants: Principal("k", "k", grants, "own"))
PLACES = [(namespace, model) for namespace in ("default", "fraud", "other") for model in ("iris", "rank", ANY)]


def given_away(principal: Principal, grants: tuple[Grant, ...]) -> bool:
    try:
        check(principal, KeyRequest(name="n", grants=grants))
    except PermissionDenied:
        return False
    return True


@given(HOLDERS, MANY)
def test_whoever_gets_a_key_may_no_more_than_who_made_it(holder: Principal, grants: tuple[Grant, ...]) -> None:
    if given_away(holder, grants):
        made = Principal("new", "new", grants)
        for permission in Permission:
            for place in PLACES:
                assert not made.allows(permission, *place) or holder.allows(permission, *place)


@given(HOLDERS, MANY)
def test_only_who_manages_all_that_a_key_is_for_sees_it(holder: Principal, grants: tuple[Grant, ...]) -> None:
    entry = KeyEntry(id="i", name="n", grants=grants)
    assert manages(holder, entry) is all(holder.allows(Permission.MANAGE, each.namespace) for each in grants)
    if given_away(holder, grants):
        assert manages(holder, entry)


@given(MANY)
def test_an_administrator_gives_whatever_there_is(grants: tuple[Grant, ...]) -> None:
    assert given_away(Principal("root", "root", (Grant(("admin",), ANY),)), grants)


@given(HOLDERS)
def test_only_an_administrator_chooses_a_tenant(holder: Principal) -> None:
    asked = KeyRequest(name="n", grants=(Grant(("viewer",)),), tenant="gold")
    everywhere = any(
        Permission.ADMIN in expand(each.permissions) and each.namespace == each.model == ANY for each in holder.grants
    )
    assert tenant_for(holder, asked) == ("gold" if everywhere else "own")


def test_a_refusal_says_what_is_lacking_and_where() -> None:
    holder = Principal("k", "k", (Grant(("owner",), "fraud"),))
    with pytest.raises(PermissionDenied, match=r"you may not give manage on 'default'") as caught:
        check(holder, KeyRequest(name="n", grants=(Grant(("viewer",), "fraud"), Grant(("viewer",)))))
    assert (caught.value.field, bool(caught.value.hint)) == ("grants", True)
    with pytest.raises(PermissionDenied, match=r"you may not give admin on 'fraud'"):
        check(holder, KeyRequest(name="n", grants=(Grant(("admin",), "fraud"),)))


def test_a_word_that_is_neither_role_nor_permission_is_told() -> None:
    holder = Principal("k", "k", (Grant(("admin",), ANY),))
    with pytest.raises(InvalidInput, match="'nothing' is neither") as caught:
        check(holder, KeyRequest(name="n", grants=(Grant(("nothing",)),)))
    assert (caught.value.field, bool(caught.value.hint)) == ("grants", True)
