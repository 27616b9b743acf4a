from __future__ import annotations

import pytest

from shoal.control.registry import Registry
from shoal.core.errors import ConfigError, Conflict, InvalidInput, NotFound
from shoal.core.registry import Policy


def test_default_is_always_there(registry: Registry) -> None:
    assert [each.name for each in registry.namespaces()] == ["default"]
    assert registry.namespace("default").policy == Policy()


def test_a_namespace_keeps_what_it_was_given(registry: Registry) -> None:
    policy = Policy(required_lineage=("dataset",), allow_code=False, signed_stages=("production",))
    made = registry.create_namespace("team-a", description="Ours", owner="ann", policy=policy, actor="root")
    assert registry.namespace("team-a") == made
    assert (made.description, made.owner, made.policy) == ("Ours", "ann", policy)


def test_the_same_again_changes_nothing_and_another_is_refused(registry: Registry) -> None:
    made = registry.create_namespace("team-a", owner="ann")
    position = registry.position()
    assert registry.create_namespace("team-a", owner="ann") == made
    assert registry.position() == position
    with pytest.raises(Conflict, match="team-a"):
        registry.create_namespace("team-a", owner="bob")


def test_a_policy_changes_from_now_on_and_the_feed_tells(registry: Registry) -> None:
    registry.set_policy("default", Policy(served_stage=""), actor="ann")
    assert registry.namespace("default").policy.served_stage == ""
    (change,) = registry.changes(0).changes
    assert (change.kind, change.namespace, change.name) == ("namespace", "default", "")


def test_an_unknown_namespace_is_told_with_those_that_are_there(registry: Registry) -> None:
    with pytest.raises(NotFound, match="nowhere") as told:
        registry.namespace("nowhere")
    assert "default" in told.value.hint


def test_a_wrong_name_or_policy_is_refused(registry: Registry) -> None:
    with pytest.raises(ConfigError):
        registry.create_namespace("Team A")
    with pytest.raises(InvalidInput) as told:
        registry.set_policy("default", Policy(required_lineage=("colour",)))
    assert told.value.field == "policy.required_lineage"
    assert "dataset_hash" in told.value.hint
