from __future__ import annotations

import pytest

from shoal.control.security.authenticating import NODE, KeyAuthenticator, OwnKey
from shoal.core import keys
from shoal.core.access import EVERYBODY, AccessTable, Grant, KeyRecord
from shoal.core.clock import ManualClock
from shoal.core.errors import StorageFull, Unauthenticated

VIEWER = (Grant(("viewer",), "default"),)


class Shelf:
    """Keys as a registry has them, how often they were read, and which were marked as used."""

    def __init__(self) -> None:
        self.table = AccessTable()
        self.reads = 0
        self.marked: list[str] = []
        self.full = False

    def add(self, expires: float = 0.0) -> str:
        made = keys.generate()
        record = KeyRecord(id=made.id, name="a", sha256=keys.digest(made.text), grants=VIEWER, expires=expires)
        self.table = AccessTable(keys=(*self.table.keys, record), revision=self.table.revision + 1)
        return made.text

    def clear(self) -> None:
        self.table = AccessTable(revision=self.table.revision + 1)

    def read(self) -> AccessTable:
        self.reads += 1
        return self.table

    def mark(self, key_id: str) -> None:
        if self.full:
            raise StorageFull("no room")
        self.marked.append(key_id)

    def authenticator(self, clock: ManualClock, *own: OwnKey, wall: float = 0.0) -> KeyAuthenticator:
        revision = lambda: self.table.revision  # noqa: E731
        return KeyAuthenticator(self.read, revision, self.mark, own, clock=clock, wall=lambda: wall)


def refused(authenticator: KeyAuthenticator, text: str) -> str:
    with pytest.raises(Unauthenticated) as told:
        authenticator.principal(text)
    assert text not in told.value.message
    return told.value.message


def test_a_key_stands_for_its_principal_and_other_kinds_are_others_matter() -> None:
    shelf, clock = Shelf(), ManualClock()
    text = shelf.add()
    found = shelf.authenticator(clock).principal(text)
    assert found is not None
    assert (found.id, found.grants) == (keys.parse(text), VIEWER)
    assert shelf.authenticator(clock).principal("eyJ.a.b") is None


def test_one_character_more_less_or_else_is_not_the_key() -> None:
    shelf = Shelf()
    text = shelf.add()
    authenticator = shelf.authenticator(ManualClock())
    for wrong in (text[:-1], text + "a", text.upper(), f" {text}", text.replace("_", "-", 2).replace("-", "_", 1)):
        if wrong.startswith("shoal_"):
            refused(authenticator, wrong)
        else:
            assert authenticator.principal(wrong) is None


def test_another_secret_behind_a_known_id_is_refused() -> None:
    import zlib

    shelf = Shelf()
    text = shelf.add()
    front = f"shoal_{keys.parse(text)}_{keys.generate().text.split('_')[2][:52]}"
    forged = front + keys._base32(zlib.crc32(front.encode()).to_bytes(4, "big"))
    assert keys.parse(forged) == keys.parse(text)
    assert "not known" in refused(shelf.authenticator(ManualClock()), forged)


def test_an_expired_key_is_told_so() -> None:
    shelf = Shelf()
    text = shelf.add(expires=100.0)
    assert shelf.authenticator(ManualClock(), wall=99.9).principal(text) is not None
    assert "expired" in refused(shelf.authenticator(ManualClock(), wall=100.0), text)


def test_keys_are_read_when_they_have_changed_and_looked_after_once_a_second() -> None:
    shelf, clock = Shelf(), ManualClock()
    text = shelf.add()
    authenticator = shelf.authenticator(clock)
    for _ in range(5):
        authenticator.principal(text)
        clock.advance(2.0)
    assert shelf.reads == 1
    authenticator.principal(text)
    shelf.clear()
    assert authenticator.principal(text) is not None
    clock.advance(1.0)
    refused(authenticator, text)
    assert authenticator.exist(), "that all are revoked turns nothing off"


def test_what_was_changed_here_counts_at_once() -> None:
    shelf = Shelf()
    text = shelf.add()
    authenticator = shelf.authenticator(ManualClock())
    authenticator.principal(text)
    shelf.clear()
    authenticator.forget()
    refused(authenticator, text)


def test_the_use_of_a_key_is_noted_now_and_then_and_a_full_disk_keeps_nobody_out() -> None:
    shelf, clock = Shelf(), ManualClock()
    text = shelf.add()
    authenticator = shelf.authenticator(clock)
    for _ in range(3):
        authenticator.principal(text)
    assert shelf.marked == [keys.parse(text)]
    clock.advance(3600.0)
    shelf.full = True
    assert authenticator.principal(text) is not None


def test_keys_of_the_process_work_beside_those_of_the_registry_and_turn_nothing_on() -> None:
    shelf = Shelf()
    text, local = OwnKey.local()
    node = keys.generate().text
    authenticator = shelf.authenticator(ManualClock(), local, OwnKey.of(node, NODE))
    assert authenticator.principal(text) == EVERYBODY
    assert authenticator.principal(node) == NODE
    assert not authenticator.exist()
    assert shelf.marked == []
