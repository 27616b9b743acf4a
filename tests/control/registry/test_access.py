from __future__ import annotations

import msgspec
import pytest

from shoal.control.registry import Registry
from shoal.core import keys
from shoal.core.access import Grant, KeyRecord
from shoal.core.clock import ManualClock
from shoal.core.errors import Conflict, InvalidInput, NotFound, StorageFull

ADMIN = Grant(("admin",), "*")


def record(*grants: Grant, name: str = "ann", **more: str) -> KeyRecord:
    made = keys.generate()
    return KeyRecord(id=made.id, name=name, sha256=keys.digest(made.text), grants=grants or (ADMIN,), **more)


def test_a_key_is_kept_and_told_to_nodes(registry: Registry) -> None:
    assert registry.access().revision == 0
    made = record(tenant="gold")
    entry = registry.create_key(made, actor="root")
    assert (entry.id, entry.grants, entry.tenant, entry.creator) == (made.id, (ADMIN,), "gold", "root")
    table = registry.access()
    assert table.revision == 1
    assert table.keys == (msgspec.structs.replace(made, created=entry.created),)
    assert registry.list_keys() == [entry]
    assert [each.kind for each in registry.changes(0).changes] == ["access"]


def test_a_key_expires_and_a_revoked_one_stays_as_a_tombstone(registry: Registry, clock: ManualClock) -> None:
    registry.create_key(record())
    short = registry.create_key(record(Grant(("viewer",), "default")), seconds=60)
    assert len(registry.access().keys) == 2
    clock.advance(61)
    assert len(registry.access().keys) == 1
    revoked = registry.revoke_key(short.id)
    assert registry.revoke_key(short.id) == revoked == registry.key(short.id)
    assert registry.access().revision == 3
    assert [each.action for each in registry.events()] == ["key.revoke", "key.create", "key.create"]
    assert registry.events()[0].namespace == "default"
    with pytest.raises(NotFound):
        registry.revoke_key("nobody")


def test_it_is_kept_to_the_hour_when_a_key_was_used(registry: Registry, clock: ManualClock) -> None:
    clock.advance(1e9)
    made = registry.create_key(record())
    assert made.used == 0
    registry.mark_used(made.id)
    first = registry.key(made.id).used
    assert first == clock()
    clock.advance(10)
    registry.mark_used(made.id)
    assert registry.key(made.id).used == first
    clock.advance(3600)
    registry.mark_used(made.id)
    assert registry.key(made.id).used == clock()
    assert len(registry.events()) == 1


def test_there_are_bounds(registry: Registry) -> None:
    with pytest.raises(Conflict, match="first key"):
        registry.create_key(record(Grant(("owner",), "default")))
    registry.create_key(record())
    registry.create_key(record())
    with pytest.raises(StorageFull):
        registry.create_key(record(), limit=2)
    with pytest.raises(StorageFull):
        registry.create_key(record(), each=2)
    registry.create_key(record(), each=2, actor="another")
    for wrong in (record(name=""), record(name="a\n"), record(name="x" * 300), record(Grant(("nonsense",)))):
        with pytest.raises(InvalidInput):
            registry.create_key(wrong)
    with pytest.raises(InvalidInput):
        registry.create_key(record(), seconds=-1)
    assert len(registry.list_keys()) == 3


def test_whose_a_file_is(registry: Registry) -> None:
    from support.registrations import new

    made = registry.register(new("a", "same"))
    registry.register(new("b", "same"))
    registry.register(new("c", "other"))
    names = [("default", "a"), ("default", "b")]
    assert sorted(registry.holders_of_manifest(made.digest)) == names
    blob = registry.manifest(made.digest).files[0].sha256
    assert sorted(registry.holders_of_blob(blob)) == names
    assert registry.holders_of_blob("0" * 64) == []
