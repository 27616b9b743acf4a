from __future__ import annotations

import math

import pytest

from shoal.control.registry import Registry
from shoal.control.registry.registering import CHUNK
from shoal.core.errors import Conflict, InvalidInput, NotFound, ShoalError
from shoal.core.registry import FileEntry, Lineage, Manifest, Policy
from support.registrations import manifest, new, sha256


def test_numbers_count_up(registry: Registry) -> None:
    assert [registry.register(new(content=text)).version for text in ("a", "b", "a")] == [1, 2, 3]


def test_a_given_number_is_taken_and_the_next_follows_it(registry: Registry) -> None:
    assert registry.register(new(version=20240131)).version == 20240131
    assert registry.register(new(version=7)).version == 7
    assert registry.register(new()).version == 20240132
    assert registry.model("default", "iris").latest == 20240132


def test_the_same_number_with_the_same_content_is_the_same_version(registry: Registry) -> None:
    first = registry.register(new(version=3), actor="ann")
    position = registry.position()
    assert registry.register(new(version=3), actor="bob") == first
    assert registry.position() == position
    with pytest.raises(Conflict) as told:
        registry.register(new(version=3, content="other"))
    assert told.value.field == "version"


def test_an_alias_is_one_versions_only(registry: Registry) -> None:
    registry.register(new(alias="0.1.0"))
    with pytest.raises(Conflict, match="version 1 already"):
        registry.register(new(content="two", alias="0.1.0"))
    assert registry.register(new("wine", alias="0.1.0")).version == 1


def test_an_alias_and_a_stage_do_not_share_a_name(registry: Registry) -> None:
    registry.register(new(alias="blue"))
    with pytest.raises(Conflict, match="alias"):
        registry.move_stage("default", "iris", "blue", 1)
    registry.move_stage("default", "iris", "green", 1)
    with pytest.raises(Conflict, match="stage"):
        registry.register(new(alias="green"))


def test_lineage_that_the_policy_wants_is_named_field_by_field(registry: Registry) -> None:
    registry.create_namespace("strict", policy=Policy(required_lineage=("dataset", "code", "metrics")))
    given = new(namespace="strict", lineage=Lineage(code="abc"))
    with pytest.raises(InvalidInput) as told:
        registry.register(given)
    assert told.value.field == "lineage.dataset"
    assert "lineage.dataset, lineage.metrics" in told.value.hint
    whole = Lineage(code="abc", dataset="d", metrics={"f1": 0.5})
    registry.register(new(namespace="strict", lineage=whole))
    assert registry.version("strict", "iris", "1").lineage == whole


def test_formats_that_carry_code_are_refused_where_the_policy_does(registry: Registry) -> None:
    registry.create_namespace("safe", policy=Policy(allow_code=False))
    with pytest.raises(InvalidInput) as told:
        registry.register(new(namespace="safe", trust="code"))
    assert told.value.field == "trust"


def test_an_unknown_namespace_is_refused(registry: Registry) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        registry.register(new(namespace="nowhere"))
    assert registry.count_models() == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "a b"}, "model"),
        ({"model": ""}, "model"),
        ({"version": 0}, "version"),
        ({"version": 10**16}, "version"),
        ({"alias": "7"}, "alias"),
        ({"alias": "latest"}, "alias"),
        ({"lineage": Lineage(metrics={"loss": math.nan})}, "lineage"),
        ({"lineage": Lineage(hyperparameters={"depth": math.inf})}, "lineage"),
        ({"tags": {"a": "\ud800"}}, "tags"),
        ({"tags": {"a": "x" * 2_000_000}}, "tags"),
        ({"description": "\0"}, "description"),
        ({"signature": "x" * 2_000_000}, "signature"),
        ({"manifest": Manifest(())}, "manifest"),
        ({"manifest": Manifest((FileEntry("a", 1, "b"),))}, "manifest"),
        ({"manifest": Manifest((FileEntry("a", -1, sha256("a")),))}, "manifest"),
        ({"manifest": Manifest((FileEntry("a", 1, sha256("a")), FileEntry("a", 1, sha256("b"))))}, "manifest"),
    ],
)
def test_what_cannot_be_registered_is_named_and_leaves_nothing(
    registry: Registry, fields: dict[str, object], field: str
) -> None:
    given = {"model": "iris", "manifest": manifest("one"), **fields}
    with pytest.raises(InvalidInput) as told:
        registry.register(type(new())(**given))
    assert told.value.field == field
    assert (registry.count_models(), registry.position(), registry.events()) == (0, 0, [])


def test_content_is_kept_once(registry: Registry) -> None:
    registry.register(new("iris", "same"))
    registry.register(new("wine", "same"))
    assert list(registry.live_digests()) == [sha256("same")]
    assert registry.version("default", "iris", "1").digest == registry.version("default", "wine", "1").digest


def test_a_model_that_was_deleted_comes_back_with_numbers_that_nobody_had(registry: Registry) -> None:
    registry.register(new())
    registry.delete_model("default", "iris")
    assert registry.register(new(content="two")).version == 2
    assert [each.version for each in registry.versions("default", "iris")] == [2]


def test_a_number_that_was_deleted_is_not_given_again(registry: Registry) -> None:
    registry.register(new(version=1))
    registry.delete_version("default", "iris", 1)
    with pytest.raises(Conflict, match="deleted"):
        registry.register(new(version=1))


def test_many_are_registered_in_their_order(registry: Registry) -> None:
    given = [new(f"m{at % 700}", f"c{at}") for at in range(CHUNK + 400)]
    made = registry.register_many(given, actor="ann")
    assert [(each.model, each.digest) for each in made] == [(each.model, each.manifest.digest) for each in given]
    assert [registry.version("default", "m3", ref).version for ref in ("1", "latest")] == [1, 2]
    assert registry.count_models() == 700
    assert [each.number for each in registry.changes(0, 10_000).changes] == list(range(1, 1101))


def test_many_of_one_model_make_one_entry_in_the_feed(registry: Registry) -> None:
    registry.register_many([new("iris", f"c{at}", alias=f"a{at}") for at in range(50)])
    assert [each.name for each in registry.changes(0).changes] == ["iris"]
    assert len(registry.events()) == 50


def test_a_batch_with_a_mistake_leaves_nothing_of_its_transaction(registry: Registry) -> None:
    registry.register(new("iris", "one", version=1))
    with pytest.raises(Conflict):
        registry.register_many([new("wine"), new("iris", "two", version=1)])
    assert [each.name for each in registry.models()] == ["iris"]
    with pytest.raises(Conflict, match="alias"):
        registry.register_many([new("wine", alias="a"), new("wine", "two", alias="a")])
    assert [each.name for each in registry.models()] == ["iris"]


def test_the_same_in_one_batch_is_the_same_version(registry: Registry) -> None:
    first, second = registry.register_many([new(version=5), new(version=5)])
    assert first == second
    assert registry.register_many([]) == []


def test_a_lost_answer_is_given_again_and_the_change_made_once(registry: Registry) -> None:
    first = registry.register(new(), key="k1")
    registry.describe_version("default", "iris", 1, description="changed since")
    assert registry.register(new(), key="k1") == first
    assert [each.version for each in registry.versions("default", "iris")] == [1]
    with pytest.raises(Conflict) as told:
        registry.register(new(content="other"), key="k1")
    assert told.value.field == "key"
    assert registry.register(new(), key="k2").version == 2


def test_a_request_that_failed_leaves_its_key_free(registry: Registry) -> None:
    with pytest.raises(ShoalError):
        registry.register(new(namespace="later"), key="k1")
    registry.create_namespace("later")
    assert registry.register(new(namespace="later"), key="k1").version == 1
