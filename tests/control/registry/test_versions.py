from __future__ import annotations

import pytest

from shoal.control.registry import Registry
from shoal.core.errors import NotFound
from shoal.core.registry import Lineage
from support.registrations import manifest, new


@pytest.fixture
def filled(registry: Registry) -> Registry:
    for at in range(1, 4):
        registry.register(new("iris", f"content {at}", alias=f"0.{at}"))
    registry.move_stage("default", "iris", "production", 2)
    return registry


@pytest.mark.parametrize(
    ("ref", "number"), [("1", 1), ("003", 3), ("latest", 3), ("0.1", 1), ("production", 2), ("0.3", 3)]
)
def test_a_version_is_found_by_number_alias_stage_and_latest(filled: Registry, ref: str, number: int) -> None:
    assert filled.version("default", "iris", ref).version == number


@pytest.mark.parametrize("ref", ["4", "0", "staging", "0.4", "", "٣", "9" * 400, "-1", "1.0", "LATEST"])
def test_what_is_not_there_is_told_with_what_is(filled: Registry, ref: str) -> None:
    with pytest.raises(NotFound) as told:
        filled.version("default", "iris", ref)
    assert told.value.hint == "there is: 3 (0.3), 2 (0.2), 1 (0.1), production = 2"


def test_a_version_tells_all_that_was_registered(registry: Registry) -> None:
    lineage = Lineage(
        dataset="s3://data/iris.parquet",
        dataset_hash="ab12",
        method="sklearn.svm.SVC",
        hyperparameters={"C": 1.5, "kernel": "rbf", "shrinking": True, "degree": 3},
        metrics={"accuracy": 0.97},
        code="9f8e7d",
    )
    given = new(
        runtime="sklearn",
        trust="code",
        alias="0.1.0",
        description="First",
        tags={"a": "b"},
        lineage=lineage,
        signature="{}",
    )
    made = registry.register(given, actor="ann")
    found = registry.version("default", "iris", "1")
    assert found == made
    assert (found.runtime, found.trust, found.alias, found.description) == ("sklearn", "code", "0.1.0", "First")
    assert (found.tags, found.lineage, found.signature) == ({"a": "b"}, lineage, "{}")
    assert (found.digest, found.size, found.creator, found.created) == (given.manifest.digest, 3, "ann", 1000.0)


def test_versions_come_highest_first_in_pages(filled: Registry) -> None:
    assert [each.version for each in filled.versions("default", "iris", limit=2)] == [3, 2]
    assert [each.version for each in filled.versions("default", "iris", before=2)] == [1]
    assert [each.stages for each in filled.versions("default", "iris")] == [(), ("production",), ()]


def test_a_manifest_is_found_by_its_digest(filled: Registry) -> None:
    found = filled.manifest(filled.version("default", "iris", "2").digest)
    assert found == manifest("content 2")
    with pytest.raises(NotFound):
        filled.manifest("0" * 64)


def test_what_is_said_about_a_version_changes_and_its_content_does_not(filled: Registry) -> None:
    before = filled.version("default", "iris", "2")
    told = filled.describe_version("default", "iris", 2, tags={"checked": "yes"}, actor="ann")
    assert told == filled.version("default", "iris", "2")
    assert (told.tags, told.description, told.digest) == ({"checked": "yes"}, "", before.digest)
    assert filled.describe_version("default", "iris", 2, description="Good").tags == {"checked": "yes"}
