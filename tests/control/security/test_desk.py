"""The desk without a port: who is asked, in which order, what is written down, and what is said."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shoal.control.caller import Caller
from shoal.control.security.backoff import Backoff
from shoal.control.security.desk import Desk, Hidden, check, require, shown
from shoal.control.security.rules import Rule, Where
from shoal.core import keys
from shoal.core.access import ANY, EVERYBODY, Grant, Permission, Principal
from shoal.core.clock import ManualClock
from shoal.core.errors import NotFound, PermissionDenied, TooManyAttempts, Unauthenticated

ANN = Principal("ann", "Ann", (Grant(("viewer",)),))
BOB = Principal("bob", "Bob", (Grant(("owner",), "default", "iris"),))
ROBOT = Principal("robot", "a robot")


class FakeKeys:
    """Knows one text; refuses those that begin like a key, and leaves others to others."""

    def __init__(self, known: str = "", there: bool = True) -> None:
        self.known = known
        self.there = there
        self.forgotten = 0

    def exist(self) -> bool:
        return self.there

    def forget(self) -> None:
        self.forgotten += 1

    def principal(self, credential: str) -> Principal | None:
        if credential == self.known:
            return ANN
        if credential.startswith("shoal_"):
            raise Unauthenticated("nobody has this key", hint="make one")
        return None


class FakeTokens:
    def principal(self, credential: str) -> Principal | None:
        return BOB if credential == "token" else None


class FakeDenials:
    def __init__(self) -> None:
        self.written: list[tuple[str, str, str, str, dict[str, str], str]] = []

    def record(
        self, actor: str, action: str, namespace: str, subject: str, detail: Mapping[str, str], request: str
    ) -> None:
        self.written.append((actor, action, namespace, subject, dict(detail), request))


class World:
    """A desk with fakes around it."""

    def __init__(self, mode: str = "keys", *, there: bool = True) -> None:
        self.key = keys.generate().text
        self.keys = FakeKeys(self.key, there)
        self.denials = FakeDenials()
        self.clock = ManualClock()
        self.desk = Desk(
            mode,  # type: ignore[arg-type]
            self.keys,  # type: ignore[arg-type]
            self.denials,  # type: ignore[arg-type]
            others=[FakeTokens()],
            certified={"robot.example": ROBOT},
            backoff=Backoff(self.clock, free=2),
        )

    def admit(self, credential: str = "", certificate: str = "", source: str = "192.0.2.1") -> Principal:
        return self.desk.admit(credential, source, "GET /v1/models", "r1", certificate)

    def refused(self, credential: str = "", certificate: str = "", source: str = "192.0.2.1") -> Unauthenticated:
        with pytest.raises(Unauthenticated) as caught:
            self.admit(credential, certificate, source)
        assert caught.value.hint
        return caught.value


@pytest.mark.parametrize(
    ("mode", "there", "on"),
    [
        ("auto", False, False),
        ("auto", True, True),
        ("none", False, False),
        ("none", True, False),
        ("keys", False, True),
        ("keys", True, True),
    ],
)
def test_who_asks_is_asked_for_by_mode_and_keys(mode: str, there: bool, on: bool) -> None:
    world = World(mode, there=there)
    assert world.desk.is_on is on
    if on:
        world.refused()
    else:
        assert world.admit() is world.admit("wrong") is EVERYBODY
        assert world.denials.written == []


def test_a_change_of_keys_is_passed_on() -> None:
    world = World()
    world.desk.keys_changed()
    assert world.keys.forgotten == 1


def test_each_kind_of_credential_is_asked_in_turn() -> None:
    world = World()
    assert world.admit(world.key) is ANN
    assert world.admit("token") is BOB
    assert world.denials.written == []
    assert "no credential that is known" in str(world.refused("neither"))
    assert "nobody has this key" in str(world.refused(keys.generate().text))


def test_a_certificate_counts_where_nothing_is_shown() -> None:
    world = World()
    assert world.admit("", "robot.example") is ROBOT
    assert world.admit(world.key, "robot.example") is ANN
    assert "wants an API key" in str(world.refused("", "other.example"))
    world.refused("wrong", "robot.example")
    assert world.denials.written[-1][4]["certificate"] == "robot.example"


def test_a_failure_is_written_down_with_what_was_claimed() -> None:
    world = World()
    other = keys.generate().text
    world.refused(other)
    world.refused("")
    claimed, nothing = world.denials.written
    detail = {"route": "GET /v1/models", "source": "192.0.2.1"}
    assert claimed == (
        "", "authenticate", "", keys.parse(other), {**detail, "reason": "nobody has this key"}, "r1",
    )  # fmt: skip
    assert nothing == ("", "authenticate", "", "", {**detail, "reason": "this control wants an API key"}, "r1")


def test_who_fails_again_and_again_waits_and_is_not_written_down_again() -> None:
    world = World()
    for _ in range(2):
        assert not isinstance(world.refused("wrong"), TooManyAttempts)
    world.refused("wrong")
    told = world.refused("wrong")
    assert isinstance(told, TooManyAttempts)
    assert told.retry_after is not None
    assert 0 < told.retry_after <= 1.0
    assert len(world.denials.written) == 3
    assert world.admit(world.key) is ANN, "the right key is let in meanwhile"
    assert not isinstance(world.refused("wrong", source="192.0.2.2"), TooManyAttempts)


def test_a_key_is_held_up_from_wherever_it_is_tried() -> None:
    world = World()
    other = keys.generate().text
    for number in range(3):
        assert not isinstance(world.refused(other, source=f"192.0.2.{number}"), TooManyAttempts)
    assert isinstance(world.refused(other, source="192.0.2.9"), TooManyAttempts)
    assert not isinstance(world.refused(keys.generate().text, source="192.0.2.9"), TooManyAttempts)


def test_who_shows_nothing_is_never_held_up() -> None:
    world = World()
    for _ in range(20):
        assert not isinstance(world.refused(""), TooManyAttempts)


@pytest.mark.parametrize(
    ("target", "namespace", "subject"),
    [(("fraud", "iris"), "fraud", "iris"), (("fraud", ANY), "fraud", ""), (None, "", "")],
)
def test_what_was_denied_is_written_down(target: tuple[str, str] | None, namespace: str, subject: str) -> None:
    world = World()
    world.desk.denied(Caller(BOB, "r7"), target, "PUT /v1/x", PermissionDenied("you may not"))
    assert world.denials.written == [("bob", "PUT /v1/x", namespace, subject, {"reason": "you may not"}, "r7")]


NAMED = Rule(Where.NAMED, (Permission.PUSH, Permission.DELETE))


def test_who_sees_and_may_not_is_told_so_and_others_that_there_is_nothing() -> None:
    check(BOB, NAMED, ("default", "iris"))
    with pytest.raises(PermissionDenied) as caught:
        check(ANN, NAMED, ("default", "iris"))
    assert str(caught.value) == "your key may not do this of 'default'/'iris': it takes the permission push or delete"
    with pytest.raises(Hidden):
        check(BOB, NAMED, ("default", "rank"))


def test_a_refusal_names_as_much_as_there_is_and_no_more_than_fits() -> None:
    for target, of in (
        (None, ""),
        (("default", ANY), " of 'default'"),
        (("default", "n" * 101), f" of 'default'/'{'n' * 100}'"),
    ):
        rule = Rule(Where.SOMEWHERE if target is None else Where.NAMED, (Permission.PUSH,))
        with pytest.raises(PermissionDenied, match=r"it takes the permission push$") as caught:
            check(ANN, rule, target)
        assert str(caught.value).startswith(f"your key may not do this{of}: ")
        assert "manages" in caught.value.hint


def test_what_a_body_names_takes_the_same() -> None:
    require(BOB, Permission.PUSH, "default", "iris")
    require(ANN, Permission.READ, "default")
    with pytest.raises(PermissionDenied):
        require(ANN, Permission.PUSH, "default")
    with pytest.raises(PermissionDenied):
        require(BOB, Permission.PUSH, "default")
    with pytest.raises(Hidden):
        require(ANN, Permission.READ, "fraud")


def test_what_is_not_there_is_told_in_full_to_those_who_see_all_around_it() -> None:
    error = NotFound("there is no iris; there is iris2")
    assert shown(error, ANN, ("default", "iris")) is error
    for principal, target in ((ANN, ("fraud", "iris")), (BOB, ("default", "iris")), (ANN, None)):
        told = shown(error, principal, target)
        assert isinstance(told, Hidden)
        assert "iris2" not in str(told)
        assert told.hint
    assert shown(error, EVERYBODY, None) is error
