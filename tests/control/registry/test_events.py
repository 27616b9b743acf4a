from __future__ import annotations

from shoal.control.registry import Registry
from shoal.core.clock import ManualClock
from support.registrations import new


def test_each_change_leaves_an_event(registry: Registry, clock: ManualClock) -> None:
    registry.create_namespace("team-a", actor="root")
    clock.advance(1)
    made = registry.register(new(namespace="team-a"), actor="ann")
    registry.move_stage("team-a", "iris", "production", 1, actor="bob")
    told = [(each.at, each.actor, each.action, each.namespace, each.subject) for each in registry.events()]
    assert told == [
        (1001.0, "bob", "stage.move", "team-a", "iris"),
        (1001.0, "ann", "version.register", "team-a", "iris"),
        (1000.0, "root", "namespace.create", "team-a", ""),
    ]
    assert registry.events()[1].detail == {"version": 1, "digest": made.digest}


def test_events_are_paged_and_found_by_subject(registry: Registry) -> None:
    registry.register_many([new(name) for name in "abab"])
    newest = registry.events(limit=2)
    assert [each.subject for each in newest] == ["b", "a"]
    assert [each.subject for each in registry.events(before=newest[-1].number)] == ["b", "a"]
    assert len(registry.events(subject="a")) == 2
