"""Who is let in, by which credential, for how long, and to what."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core import keys
from shoal.core.access import ANY, ROLES, AccessTable, Grant, KeyRecord, Permission, Principal
from shoal.core.clock import ManualClock
from shoal.core.errors import NotFound, PermissionDenied, ShoalError, TooManyAttempts, Unauthenticated, Unavailable
from shoal.serving.gateway.guard import guard as module
from shoal.serving.gateway.guard.caller import Places
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.guard.needs import OPEN, SEE, About, Need
from support.access import Holders, everyone
from support.gateway_fakes import FakeExchange, FakeModels, default_handles

INFER = Need(About.MODEL, (Permission.INFER,))
LIST = Need(About.MODELS, SEE)
METRICS = Need(About.NODE, (Permission.READ,))
HOLDERS = everyone()


class World:
    """A guard with its clocks, and requests from one address or another."""

    def __init__(self, holders: Holders = HOLDERS, **settings: object) -> None:
        self.clock = ManualClock()
        self.wall = ManualClock(1_700_000_000.0)
        self.guard = Guard(clock=self.clock, now=self.wall, **settings)  # type: ignore[arg-type]
        self.guard.replace(holders.table)
        self.models = FakeModels(*default_handles())

    def asked(self, headers: dict[bytes, bytes], method: str = "POST", peer: str = "192.0.2.7") -> FakeExchange:
        exchange = FakeExchange(method, "/", headers=headers, peer=peer)
        exchange.arrived = self.clock()
        return exchange

    def admit(self, headers: dict[bytes, bytes], need: Need = LIST, name: str = "", **asked: str) -> list[str]:
        """The names of the models that are seen."""
        exchange = self.asked(headers, **asked)
        return [each.spec.name for each in self.guard.admit(exchange, headers, need, self.models, name).all()]

    def tenant(self, headers: dict[bytes, bytes], name: str = "iris", **asked: str) -> str:
        return self.guard.tenant(self.asked(headers, **asked), headers, name)


def bearer(text: str) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + text.encode()}


def test_without_keys_everybody_is_let_in() -> None:
    world = World(Holders())
    world.guard.replace(AccessTable())
    assert not world.guard.on
    assert world.admit({}) == ["iris", "digits", "digits", "shout"]


def test_once_there_were_keys_the_guard_stays_on() -> None:
    world = World()
    world.guard.replace(AccessTable(revision=2))
    assert world.guard.on
    with pytest.raises(Unauthenticated):
        world.admit({})


def test_a_guard_that_is_required_is_on_before_it_knows_a_key() -> None:
    guard = Guard(required=True)
    assert guard.on
    with pytest.raises(Unauthenticated):
        guard.who(FakeExchange("GET", "/"), {})


def test_what_is_open_asks_for_nothing() -> None:
    assert len(World().admit({}, OPEN)) == 4


def test_a_key_is_let_in_by_each_way_to_send_it() -> None:
    world, text = World(), HOLDERS.keys["caller"].text
    password = base64.b64encode(b"me:" + text.encode())
    for headers in (bearer(text), {b"x-api-key": text.encode()}):
        assert world.tenant(headers) == "tenant-caller"
    assert world.admit({b"authorization": b"Basic " + password}, method="GET")


def test_a_password_counts_for_no_other_sites_request_even_when_it_is_known() -> None:
    world = World()
    headers = {b"authorization": b"Basic " + base64.b64encode(b"me:" + HOLDERS.keys["caller"].text.encode())}
    world.admit(headers, method="GET")
    with pytest.raises(Unauthenticated):
        world.tenant({**headers, b"sec-fetch-site": b"cross-site"})
    with pytest.raises(Unauthenticated):
        world.tenant(headers)
    assert world.tenant({**headers, b"sec-fetch-site": b"same-origin"}) == "tenant-caller"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        keys.generate().text,
        HOLDERS.keys["admin"].text[:-1],
        HOLDERS.keys["admin"].text.upper(),
        "a.b.c",
    ],
)
def test_what_proves_nothing_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        World().tenant(bearer(text))
    assert not text or text not in str(caught.value)


def test_the_secret_of_another_key_does_not_go_with_an_id() -> None:
    mine, other = HOLDERS.keys["caller"], keys.generate()
    forged = f"shoal_{mine.id}_{other.text.split('_')[2][:-7]}"
    forged += keys._check(forged)
    assert keys.parse(forged) == mine.id
    with pytest.raises(Unauthenticated):
        World().tenant(bearer(forged))


def test_a_revoked_key_is_refused_at_once_though_it_was_known() -> None:
    world = World()
    headers = HOLDERS.headers("caller")
    assert world.tenant(headers) == "tenant-caller"
    kept = tuple(each for each in HOLDERS.table.keys if each.name != "caller")
    world.guard.replace(AccessTable(keys=kept, revision=2))
    with pytest.raises(Unauthenticated):
        world.tenant(headers)


def test_a_key_ends_when_it_expires_though_it_was_known() -> None:
    holders = Holders(expires=1_700_000_010.0, caller=Grant(("caller",)))
    world = World(holders)
    assert world.tenant(holders.headers("caller"))
    world.clock.advance(11)
    world.wall.advance(11)
    with pytest.raises(Unauthenticated, match="expired"):
        world.tenant(holders.headers("caller"))


def test_a_key_is_proved_again_after_a_minute_so_that_a_clock_that_was_set_counts() -> None:
    holders = Holders(expires=1_700_009_999.0, caller=Grant(("caller",)))
    world = World(holders)
    assert world.tenant(holders.headers("caller"))
    world.wall.advance(10_000)
    world.clock.advance(module.AGAIN)
    with pytest.raises(Unauthenticated, match="expired"):
        world.tenant(holders.headers("caller"))


def test_a_key_that_grants_what_is_not_known_here_is_not_let_in(caplog: pytest.LogCaptureFixture) -> None:
    holders = Holders(newer=Grant(("infer", "fly")))
    with pytest.raises(Unauthenticated):
        World(holders).tenant(holders.headers("newer"))
    assert holders.keys["newer"].text not in caplog.text


def test_wrong_keys_from_one_address_are_not_even_hashed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    world, hashed = World(), []
    monkeypatch.setattr(module.keys, "digest", lambda text: hashed.append(text) or "0" * 64)
    answers: list[type[ShoalError]] = []
    for _ in range(10_000):
        try:
            world.tenant(bearer(keys.generate().text))
        except ShoalError as error:
            answers.append(type(error))
    assert answers.count(Unauthenticated) == len(hashed) == 11
    assert set(answers[11:]) == {TooManyAttempts}


def test_a_pause_tells_when_it_ends_and_holds_up_nobody_else() -> None:
    world = World()
    good = HOLDERS.headers("caller")
    world.tenant(good)
    for _ in range(11):
        with pytest.raises(Unauthenticated):
            world.tenant(bearer("wrong"))
    with pytest.raises(TooManyAttempts) as caught:
        world.tenant(HOLDERS.headers("owner"))
    assert caught.value.retry_after == 1.0
    assert world.tenant(good) == "tenant-caller"
    assert world.tenant(HOLDERS.headers("owner"), peer="192.0.2.8") == "tenant-owner"
    world.clock.advance(1.0)
    assert world.tenant(HOLDERS.headers("engineer")) == "tenant-engineer"


def test_whoever_was_known_is_not_held_up_when_it_is_proved_again() -> None:
    world = World()
    good = HOLDERS.headers("caller")
    world.tenant(good)
    for _ in range(12):
        with pytest.raises(Unauthenticated):
            world.tenant(bearer("wrong"))
        world.clock.advance(0.01)
    world.clock.advance(module.AGAIN)
    with pytest.raises(Unauthenticated):
        world.tenant(bearer("wrong"))
    with pytest.raises(TooManyAttempts):
        world.tenant(bearer("wrong"))
    assert world.tenant(good) == "tenant-caller"
    world.guard.replace(HOLDERS.table)
    assert world.tenant(good) == "tenant-caller"
    world.guard.replace(AccessTable(revision=9))
    with pytest.raises(Unauthenticated) as first:
        world.tenant(good)
    assert not isinstance(first.value, TooManyAttempts)
    with pytest.raises(TooManyAttempts):
        world.tenant(good)


def test_asking_without_a_credential_is_no_wrong_attempt() -> None:
    world = World()
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            world.tenant({})
    assert world.tenant(HOLDERS.headers("caller"))


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 3)
    world = World()
    for name in ("caller", "viewer", "engineer", "qa", "owner"):
        world.admit(HOLDERS.headers(name))
        assert len(world.guard._known) <= 3


def test_a_known_credential_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.tenant(HOLDERS.headers("caller"))
    monkeypatch.setattr(module.keys, "digest", lambda text: pytest.fail("hashed"))
    assert world.tenant(HOLDERS.headers("caller")) == "tenant-caller"


def test_what_may_not_be_seen_is_not_there_and_what_may_not_be_done_is_refused() -> None:
    world = World()
    with pytest.raises(NotFound, match="there is no model 'iris'"):
        world.tenant(HOLDERS.headers("foreign"))
    with pytest.raises(NotFound, match="there is no model 'digits'"):
        world.tenant(HOLDERS.headers("only_iris"), "digits")
    with pytest.raises(PermissionDenied):
        world.tenant(HOLDERS.headers("viewer"))
    assert world.tenant(HOLDERS.headers("only_iris")) == "tenant-only_iris"
    assert world.models.finds == 0


def test_lists_hold_what_may_be_seen() -> None:
    world = World()
    assert world.admit(HOLDERS.headers("only_iris")) == ["iris"]
    assert world.admit(HOLDERS.headers("viewer")) == ["iris", "digits", "digits", "shout"]
    assert world.admit(HOLDERS.headers("foreign")) == []
    with pytest.raises(PermissionDenied):
        world.admit(HOLDERS.headers("nothing"))


def test_what_concerns_the_node_needs_all_namespaces() -> None:
    world = World()
    for name in ("admin", "everywhere"):
        assert len(world.admit(HOLDERS.headers(name), METRICS)) == 4
    for name in ("owner", "foreign", "only_iris", "caller"):
        with pytest.raises(PermissionDenied):
            world.admit(HOLDERS.headers(name), METRICS)


def test_a_glimpse_shows_nothing_to_nobody() -> None:
    world = World()
    for headers, count in (({}, 0), (bearer("wrong"), 0), (HOLDERS.headers("only_iris"), 1)):
        assert len(world.guard.glimpse(world.asked(headers), headers, world.models).all()) == count


NAMES = st.sampled_from(["iris", "digits", ANY])
NAMESPACES = st.sampled_from(["default", "fraud", ANY])
GRANTS = st.lists(
    st.builds(
        Grant,
        st.lists(st.sampled_from([*ROLES, *Permission]), max_size=2).map(tuple),
        namespace=NAMESPACES,
        model=NAMES,
    ),
    max_size=4,
)


@given(GRANTS, st.lists(st.sampled_from(list(Permission)), min_size=1, max_size=2))
def test_places_say_what_the_principal_says(grants: list[Grant], any_of: list[Permission]) -> None:
    places = Places(grants, any_of)
    principal = Principal("id", "name", tuple(grants))
    for namespace in ("default", "fraud", "other"):
        for model in ("iris", "digits", "other"):
            for address in (f"{model}@{namespace}", f"{model}+staging@{namespace}"):
                allowed = any(principal.allows(each, namespace, model) for each in any_of)
                assert (address in places) is allowed
    assert places.everywhere is any(principal.allows(each, ANY, ANY) for each in any_of)


def test_the_namespace_of_an_address_without_one_is_the_default() -> None:
    assert "iris" in Places([Grant(("caller",), "default")], [Permission.INFER])
    assert "iris" not in Places([Grant(("caller",), "fraud")], [Permission.INFER])


def test_a_record_holds_no_key() -> None:
    record: KeyRecord = HOLDERS.table.keys[0]
    assert HOLDERS.keys["caller"].text not in repr(record)


def test_until_it_is_known_who_is_let_in_nobody_is() -> None:
    world, guard = World(), Guard(waiting=True)
    headers = HOLDERS.headers("admin")
    assert guard.on
    with pytest.raises(Unavailable, match="control has not told") as caught:
        guard.who(world.asked(headers), headers)
    assert caught.value.retry_after == 1.0
    assert guard.glimpse(world.asked(headers), headers, world.models).all() == []
    guard.replace(HOLDERS.table)
    assert guard.who(world.asked(headers), headers).principal.name == "admin"
    guard = Guard(waiting=True)
    guard.replace(AccessTable())
    assert not guard.on
    assert guard.glimpse(world.asked({}), {}, world.models) is world.models


def test_each_change_of_the_keys_is_counted_and_the_first_turns_it_on() -> None:
    guard = Guard()
    assert (guard.changes, guard.on) == (0, False)
    guard.replace(AccessTable(revision=1))
    assert (guard.changes, guard.on) == (1, True)
    guard.replace(AccessTable(revision=2))
    assert guard.changes == 2


def test_a_refusal_says_which_permission_is_lacking_and_where() -> None:
    world = World()
    for need, holder, where in (
        (METRICS, "owner", "read in all namespaces"),
        (LIST, "nothing", "read or infer somewhere"),
    ):
        with pytest.raises(PermissionDenied) as caught:
            world.admit(HOLDERS.headers(holder), need)
        assert caught.value.hint == f"this needs the permission {where}"
        assert str(caught.value) == f"{holder!r} may not do this"
    with pytest.raises(PermissionDenied) as caught:
        world.admit(HOLDERS.headers("viewer"), INFER, "iris")
    assert caught.value.hint == "this needs the permission infer on 'iris'"


def test_as_many_are_known_as_may_be() -> None:
    assert module.KNOWN == 4096
    world = World()
    for name in ("caller", "viewer", "engineer"):
        world.admit(HOLDERS.headers(name))
    assert [caller.principal.name for caller in world.guard._known.values()] == ["caller", "viewer", "engineer"]


def test_a_key_has_expired_at_its_very_second() -> None:
    holders = Holders(1_700_000_010.0, caller=Grant(("caller",)))
    world = World(holders)
    world.wall.now = 1_700_000_009.5
    assert world.tenant(holders.headers("caller")) == "tenant-caller"
    world = World(holders)
    world.wall.now = 1_700_000_010.0
    with pytest.raises(Unauthenticated, match="has expired"):
        world.tenant(holders.headers("caller"))


class FakeTokens:
    """Proves one token, until a time."""

    def prove(self, text: str) -> tuple[Principal, float]:
        if text != "a.good.token":
            raise ValueError("this token is not right")
        return Principal("ann", "Ann", (Grant(("caller",)),), "gold"), 1_700_000_030.0


def test_a_token_is_proved_by_who_can_and_as_long_as_it_is_valid() -> None:
    world = World(tokens=FakeTokens())
    good = bearer("a.good.token")
    assert world.tenant(good) == "gold"
    assert world.guard._known[good[b"authorization"]].until == world.clock() + 30.0
    with pytest.raises(Unauthenticated, match="this token is not right"):
        world.tenant(bearer("another.token"))
    with pytest.raises(Unauthenticated, match="not an API key"):
        World().tenant(good)
