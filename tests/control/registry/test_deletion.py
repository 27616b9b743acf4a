from __future__ import annotations

import pytest

from shoal.control.registry import Registry
from shoal.core.clock import ManualClock
from shoal.core.errors import Conflict, NotFound
from support.registrations import new, sha256


@pytest.fixture
def filled(registry: Registry) -> Registry:
    registry.register_many([new("iris", text) for text in ("a", "b", "c")])
    registry.register(new("wine", "c"))
    return registry


def test_a_deleted_version_is_refused_and_says_so(filled: Registry) -> None:
    filled.delete_version("default", "iris", 3, actor="ann")
    with pytest.raises(NotFound, match="version 3 of the model iris was deleted") as told:
        filled.version("default", "iris", "3")
    assert told.value.hint == "there is: 2, 1"
    assert filled.version("default", "iris", "latest").version == 2
    assert [each.version for each in filled.versions("default", "iris")] == [2, 1]
    assert [each.deleted for each in filled.versions("default", "iris", deleted=True)] == [True, False, False]


def test_a_version_in_use_by_a_stage_stays(filled: Registry) -> None:
    filled.move_stage("default", "iris", "production", 2)
    filled.move_stage("default", "iris", "canary", 2)
    with pytest.raises(Conflict, match=r"canary \(2\), production \(2\)"):
        filled.delete_version("default", "iris", 2)
    with pytest.raises(Conflict, match="production"):
        filled.delete_model("default", "iris")
    assert filled.tombstones() == []


def test_deleting_again_changes_nothing(filled: Registry) -> None:
    filled.delete_version("default", "iris", 1)
    filled.delete_model("default", "wine")
    position = filled.position()
    filled.delete_version("default", "iris", 1)
    filled.delete_model("default", "wine")
    assert filled.position() == position
    with pytest.raises(NotFound):
        filled.delete_version("default", "iris", 9)
    with pytest.raises(NotFound):
        filled.delete_model("default", "cars")


def test_a_deleted_model_is_gone_with_all_its_versions(filled: Registry) -> None:
    filled.delete_model("default", "iris", actor="ann")
    with pytest.raises(NotFound, match="was deleted"):
        filled.version("default", "iris", "1")
    with pytest.raises(NotFound, match="was deleted"):
        filled.model("default", "iris")
    assert [each.name for each in filled.models()] == ["wine"]
    assert filled.count_models() == 1
    assert [(each.model, each.version) for each in filled.tombstones()] == [("iris", at) for at in (1, 2, 3)]
    assert filled.events(1)[0].action == "model.delete"


def test_a_model_whose_versions_are_all_deleted_has_no_latest(filled: Registry) -> None:
    filled.delete_version("default", "wine", 1)
    assert filled.model("default", "wine").latest == 0
    with pytest.raises(NotFound) as told:
        filled.version("default", "wine", "latest")
    assert told.value.hint == "it has no version that is not deleted"


def test_blobs_live_until_the_last_tombstone_is_purged(filled: Registry, clock: ManualClock) -> None:
    everything = sorted(map(sha256, "abc"))
    filled.delete_model("default", "iris")
    assert list(filled.live_digests()) == everything
    clock.advance(3600)
    filled.delete_model("default", "wine")
    assert filled.purge(3601) == 0
    assert filled.purge(3600) == 3
    assert list(filled.live_digests()) == [sha256("c")]
    assert filled.purge(0) == 1
    assert list(filled.live_digests()) == []
    assert filled.tombstones() == []


def test_what_is_registered_again_after_a_purge_is_whole(filled: Registry) -> None:
    filled.delete_model("default", "iris")
    filled.purge(0)
    made = filled.register(new("iris", "a"))
    assert made.version == 4
    assert filled.manifest(made.digest).files[0].sha256 == sha256("a")
    filled.purge(0)
    assert list(filled.live_digests()) == sorted((sha256("a"), sha256("c")))


def test_a_purge_forgets_old_answers(registry: Registry, clock: ManualClock) -> None:
    registry.register(new(), key="k")
    clock.advance(10)
    registry.purge(11)
    assert registry.register(new(), key="k").version == 1
    registry.purge(10)
    assert registry.register(new(), key="k").version == 2


def test_a_clock_that_jumps_back_purges_nothing(filled: Registry, clock: ManualClock) -> None:
    filled.delete_model("default", "iris")
    clock.advance(-86_400)
    assert filled.purge(60) == 0


def test_live_digests_may_be_left_early(filled: Registry) -> None:
    for _ in range(20):
        assert next(filled.live_digests()) == min(map(sha256, "abc"))
