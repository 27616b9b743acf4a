from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.registry import Registry
from shoal.control.registry.stages import Step, earlier
from shoal.core.errors import ConfigError, Conflict, InvalidInput, NotFound, PermissionDenied
from shoal.core.registry import Policy
from support.registrations import new

PLACE = ("default", "iris", "production")


@pytest.fixture
def filled(registry: Registry) -> Registry:
    registry.register_many([new("iris", f"content {at}", alias=f"0.{at}") for at in range(1, 6)])
    return registry


def _move(registry: Registry, *numbers: int) -> None:
    for number in numbers:
        registry.move_stage(*PLACE, number)


def test_a_stage_points_where_it_was_moved(filled: Registry) -> None:
    move = filled.move_stage(*PLACE, "0.2", actor="ann", comment="good enough")
    assert (move.version, move.previous, move.actor, move.comment, move.at) == (2, 0, "ann", "good enough", 1000.0)
    assert filled.version("default", "iris", "production").version == 2
    assert filled.version("default", "iris", "2").stages == ("production",)
    assert filled.move_stage(*PLACE, "latest").previous == 2
    assert filled.model("default", "iris").stages == {"production": 5}
    assert filled.move_stage("default", "iris", "staging", "production").version == 5


def test_moving_to_where_it_is_does_nothing(filled: Registry) -> None:
    first = filled.move_stage(*PLACE, 2)
    position = filled.position()
    assert filled.move_stage(*PLACE, 2, expected=1) == first
    assert filled.position() == position
    assert len(filled.stage_history("default", "iris")) == 1


def test_expected_compares_and_sets(filled: Registry) -> None:
    filled.move_stage(*PLACE, 1, expected=0)
    filled.move_stage(*PLACE, 2, expected=1)
    with pytest.raises(Conflict, match="points at version 2, not at 1"):
        filled.move_stage(*PLACE, 3, expected=1)
    with pytest.raises(Conflict, match="points nowhere"):
        filled.move_stage("default", "iris", "staging", 3, expected=1)
    assert filled.model("default", "iris").stages == {"production": 2}


def test_a_stage_is_removed_and_brought_back(filled: Registry) -> None:
    _move(filled, 1, 2)
    assert filled.move_stage(*PLACE, None).version == 0
    assert filled.model("default", "iris").stages == {}
    with pytest.raises(NotFound):
        filled.version("default", "iris", "production")
    with pytest.raises(NotFound, match="no stage"):
        filled.move_stage(*PLACE, None)
    assert filled.rollback(*PLACE).version == 2
    assert filled.rollback(*PLACE).version == 1


def test_rollback_walks_down_the_history(filled: Registry) -> None:
    _move(filled, 1, 2, 3)
    assert [filled.rollback(*PLACE).version for _ in range(2)] == [2, 1]
    with pytest.raises(NotFound, match="no earlier version"):
        filled.rollback(*PLACE)
    _move(filled, 5)
    assert filled.rollback(*PLACE).version == 1
    told = [(each.previous, each.version) for each in filled.stage_history(*PLACE)]
    assert told == [(5, 1), (1, 5), (2, 1), (3, 2), (2, 3), (1, 2), (0, 1)]


def test_rollback_steps_over_what_was_deleted(filled: Registry) -> None:
    _move(filled, 1, 2, 3)
    filled.delete_version("default", "iris", 2)
    assert filled.rollback(*PLACE, actor="ann").version == 1
    assert filled.events(1)[0].detail == {"stage": "production", "version": 1, "previous": 3}


def test_a_repeated_rollback_with_its_key_is_answered_and_not_done_again(filled: Registry) -> None:
    _move(filled, 1, 2, 3)
    first = filled.rollback(*PLACE, key="k")
    assert filled.rollback(*PLACE, key="k") == first
    assert filled.model("default", "iris").stages == {"production": 2}


def test_the_history_is_kept_by_stage_and_also_when_the_model_is_gone(filled: Registry) -> None:
    _move(filled, 1)
    filled.move_stage("default", "iris", "staging", 2)
    assert [each.stage for each in filled.stage_history("default", "iris", limit=1)] == ["staging"]
    for stage in ("production", "staging"):
        filled.move_stage("default", "iris", stage, None)
    filled.delete_model("default", "iris")
    assert [each.version for each in filled.stage_history(*PLACE)] == [0, 1]


def test_a_stage_that_wants_signatures_takes_no_version_without(filled: Registry) -> None:
    _move(filled, 1, 2)
    filled.register(new(content="signed", signature="{}"))
    filled.set_policy("default", Policy(signed_stages=("production",)))
    with pytest.raises(PermissionDenied, match="signed"):
        _move(filled, 3)
    with pytest.raises(PermissionDenied):
        filled.rollback(*PLACE)
    assert filled.move_stage("default", "iris", "staging", 3).version == 3
    assert filled.move_stage(*PLACE, "latest").version == 6
    assert filled.move_stage(*PLACE, None).version == 0


@pytest.mark.parametrize(
    ("stage", "kind"), [("latest", InvalidInput), ("Prod", ConfigError), ("", ConfigError), ("1", ConfigError)]
)
def test_a_name_that_cannot_be_a_stage_is_refused(filled: Registry, stage: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        filled.move_stage("default", "iris", stage, 1)


def test_unknown_and_deleted_versions_are_refused(filled: Registry) -> None:
    filled.delete_version("default", "iris", 4)
    for ref, sentence in (("9", "no version"), ("4", "was deleted"), ("0.9", "no version")):
        with pytest.raises(NotFound, match=sentence):
            filled.move_stage(*PLACE, ref)
    assert filled.stage_history("default", "iris") == []


@given(
    moves=st.lists(st.integers(0, 4), max_size=12),
    dead=st.sets(st.integers(1, 4)),
)
def test_earlier_finds_the_youngest_other_version_that_is_there(moves: list[int], dead: set[int]) -> None:
    steps = {at: Step(at, number, at - 1) for at, number in enumerate(moves, 1)}
    now = steps[len(moves)] if moves else Step(0, 0, 0)
    found = earlier(now, steps.__getitem__, lambda number: number not in dead)
    fit = [at for at, number in enumerate(moves[:-1], 1) if number not in {0, now.number} | dead]
    assert (found.id if found else None) == (max(fit) if fit else None)
