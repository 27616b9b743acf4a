"""A client's certificate stands for somebody, where nothing else is sent."""

from __future__ import annotations

import pytest

from shoal.core.access import AccessTable, Grant, Permission, Principal
from shoal.core.errors import NotFound, PermissionDenied, Unauthenticated
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.guard.needs import About, Need
from support.access import everyone
from support.gateway_fakes import FakeExchange, FakeModels, default_handles

INFER = Need(About.MODEL, (Permission.INFER,))
BATCH = Principal("batch.example", "batch.example", (Grant(("caller",), "default", "iris"),), "batch")


class Shown(FakeExchange):
    """A request over a connection with a certificate."""

    __slots__ = ("_name",)

    def __init__(self, name: str, headers: dict[bytes, bytes] | None = None) -> None:
        super().__init__("POST", "/", headers=headers)
        self._name = name

    def certificate(self) -> str:
        return self._name


def guard() -> Guard:
    made = Guard(required=True, certificates={"batch.example": BATCH})
    made.replace(everyone().table)
    return made


def test_a_known_name_may_do_what_it_is_granted() -> None:
    models, asked = FakeModels(*default_handles()), Shown("batch.example")
    for _ in range(2):
        assert guard().admit(asked, asked.headers, INFER, models, "iris").find("iris").spec.name == "iris"
        assert guard().tenant(asked, asked.headers, "iris") == "batch"
    with pytest.raises(NotFound):
        guard().tenant(asked, asked.headers, "digits")


@pytest.mark.parametrize("name", ["", "other.example", "batch.example.evil.test", "BATCH.example"])
def test_another_name_is_nobody(name: str) -> None:
    asked = Shown(name)
    with pytest.raises(Unauthenticated):
        guard().tenant(asked, asked.headers, "iris")


@pytest.mark.parametrize(("site", "counts"), [("same-origin", True), ("none", True), ("same-site", False),
                                              ("cross-site", False), ("", False)])  # fmt: skip
def test_a_browser_asks_nothing_for_other_sites(site: str, counts: bool) -> None:
    asked = Shown("batch.example", {b"sec-fetch-site": site.encode()})
    if counts:
        assert guard().tenant(asked, asked.headers, "iris") == "batch"
        return
    with pytest.raises(Unauthenticated):
        guard().tenant(asked, asked.headers, "iris")


def test_what_is_sent_counts_instead() -> None:
    asked = Shown("batch.example", {b"authorization": b"Bearer shoal_nonsense"})
    with pytest.raises(Unauthenticated):
        guard().tenant(asked, asked.headers, "iris")


def test_it_stays_when_keys_change() -> None:
    made, asked = guard(), Shown("batch.example")
    assert made.tenant(asked, asked.headers, "iris") == "batch"
    made.replace(AccessTable(revision=9))
    assert made.tenant(asked, asked.headers, "iris") == "batch"
    with pytest.raises((PermissionDenied, NotFound)):
        made.admit(
            asked, asked.headers, Need(About.MODEL, (Permission.OPERATE,)), FakeModels(*default_handles()), "iris"
        )
