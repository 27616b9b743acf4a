"""What was denied is counted whole, in bounded memory, and told by who wanted what."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.access import Grant, Permission
from shoal.core.clock import ManualClock
from shoal.core.errors import NotFound, PermissionDenied, ShoalError, TooManyAttempts, Unauthenticated
from shoal.core.keyring import OTHERS
from shoal.serving.gateway.guard import needs
from shoal.serving.gateway.guard.attempts import FREE
from shoal.serving.gateway.guard.denials import MAX_TEXT, Denials
from shoal.serving.gateway.guard.guard import Guard
from support.access import Holders
from support.gateway_fakes import FakeExchange, FakeModels

ERRORS = (Unauthenticated("no"), PermissionDenied("no"), NotFound("no"))
NOTES = st.tuples(st.sampled_from(ERRORS), st.sampled_from("abc"), st.sampled_from(["iris", "x+s@team", "\x1b\ud800"]))
TAKE = st.none()


@given(st.integers(1, 5), st.lists(NOTES | TAKE, max_size=60))
def test_no_attempt_is_left_out_and_no_more_is_told_apart_than_may_be(
    kept: int, steps: list[tuple[ShoalError, str, str] | None]
) -> None:
    clock = ManualClock()
    denials = Denials(kept=kept, now=clock)
    wanted = Counter[tuple[str, str, str]]()
    since = clock.now
    for step in (*steps, None):
        clock.advance(1.0)
        if step is not None:
            error, who, name = step
            denials.note(error, who, "10.0.0.1", (Permission.INFER,), name)
            wanted[error.code, who, name] += 1
            assert len(denials) <= kept + 1
            continue
        told = denials.take()
        assert sum(each.count for each in told) == wanted.total()
        others = [each for each in told if each.kind == OTHERS]
        assert len(others) == (len(wanted) > kept)
        assert len(told) == min(len(wanted), kept) + len(others)
        assert all(since < each.first <= each.last <= clock.now for each in told)
        assert all(each.who.isprintable() and each.model.isprintable() for each in told)
        wanted.clear()
        since = clock.now


def test_an_address_is_told_in_its_parts_and_bounded() -> None:
    denials = Denials(now=lambda: 5.0)
    denials.note(NotFound("no"), "key", "10.0.0.1", (Permission.INFER,), "iris+staging@team")
    denials.note(NotFound("no"), "key", "10.0.0.1", (Permission.INFER,), "x" * 10_000)
    first, second = denials.take()
    assert (first.model, first.namespace, first.permission, first.first) == ("iris", "team", "infer", 5.0)
    assert len(second.model) == MAX_TEXT


@pytest.fixture
def holders() -> Holders:
    return Holders(app=Grant(("caller",)), viewer=Grant(("viewer",)), one=Grant(("caller",), "default", "iris"))


def ask(guard: Guard, headers: dict[bytes, bytes], name: str = "", need: needs.Need = needs.HTTP["GET /v2/models"]):
    """A request that is denied, at each of the guard's doors."""
    exchange = FakeExchange("POST", "/", headers=headers)
    with pytest.raises(ShoalError):
        guard.tenant(exchange, headers, name) if name else guard.admit(exchange, headers, need, FakeModels())


def told(guard: Guard) -> list[tuple[str, str, str, str, int]]:
    return [(each.kind, each.who, each.permission, each.model, each.count) for each in guard.denials.take()]


def test_each_refusal_of_the_guard_is_counted_once_and_what_is_allowed_is_not(holders: Holders) -> None:
    guard = Guard()
    guard.replace(holders.table)
    for _ in range(3):
        ask(guard, holders.headers("viewer"), "iris")
    ask(guard, holders.headers("one"), "rose")
    ask(guard, holders.headers("app"), need=needs.HTTP["GET /metrics"])
    ask(guard, {})
    ask(guard, {}, "iris")
    assert guard.tenant(FakeExchange("POST", "/"), holders.headers("app"), "iris") == "tenant-app"
    ids = {name: key.id for name, key in holders.keys.items()}
    assert told(guard) == [
        ("permission_denied", ids["viewer"], "infer", "iris", 3),
        ("not_found", ids["one"], "infer", "rose", 1),
        ("permission_denied", ids["app"], "read", "", 1),
        ("unauthenticated", "", "", "", 2),
    ]
    assert told(guard) == []


def test_a_wrong_key_is_told_by_the_id_that_it_claims_also_while_it_waits(holders: Holders) -> None:
    guard = Guard(required=True)  # that nobody has any of these
    for _ in range(FREE + 2):
        ask(guard, holders.headers("app"), "iris")
    assert told(guard) == [
        ("unauthenticated", holders.keys["app"].id, "", "", FREE + 1),
        (TooManyAttempts.code, holders.keys["app"].id, "", "", 1),
    ]


def test_a_look_at_health_denies_nobody_anything(holders: Holders) -> None:
    guard = Guard()
    guard.replace(holders.table)
    guard.glimpse(FakeExchange("GET", "/"), {}, FakeModels())
    assert told(guard) == []
