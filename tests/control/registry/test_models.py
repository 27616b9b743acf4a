from __future__ import annotations

import pytest

from shoal.control.registry import Registry
from shoal.core.errors import InvalidInput, NotFound
from support.registrations import new


@pytest.fixture
def filled(registry: Registry) -> Registry:
    registry.create_namespace("team-a")
    registry.register(new("iris", owner="ann"))
    registry.register(new("Wine", owner="bob"))
    registry.register(new("cars", namespace="team-a", owner="ann"))
    registry.move_stage("default", "iris", "production", 1)
    registry.describe("default", "Wine", description="Tells 100% of the grapes", tags={"kind": "tabular"})
    return registry


def test_a_model_comes_with_its_first_version(registry: Registry, clock: object) -> None:
    registry.register(new("iris", owner="ann"))
    model = registry.model("default", "iris")
    assert (model.name, model.owner, model.latest, model.stages, model.created) == ("iris", "ann", 1, {}, 1000.0)


def test_pages_are_ordered_by_namespace_and_name_and_meet_without_gaps(filled: Registry) -> None:
    pages, after = [], ("", "")
    while page := filled.models(limit=1, after=after):
        pages += page
        after = (page[-1].namespace, page[-1].name)
    assert [(each.namespace, each.name) for each in pages] == [
        ("default", "Wine"),
        ("default", "iris"),
        ("team-a", "cars"),
    ]
    assert filled.count_models() == 3
    assert filled.count_models("team-a") == 1


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"namespace": "team-a"}, ["cars"]),
        ({"search": "WIN"}, ["Wine"]),
        ({"search": "grapes"}, ["Wine"]),
        ({"search": "kind=tab"}, ["Wine"]),
        ({"search": "100%"}, ["Wine"]),
        ({"search": "0% of"}, ["Wine"]),
        ({"search": "_"}, []),
        ({"search": "%"}, ["Wine"]),
        ({"search": "\\"}, []),
        ({"owner": "ann"}, ["iris", "cars"]),
        ({"owner": "ann", "namespace": "default"}, ["iris"]),
        ({"stage": "production"}, ["iris"]),
        ({"stage": "staging"}, []),
    ],
)
def test_models_are_found(filled: Registry, wanted: dict[str, str], found: list[str]) -> None:
    assert [each.name for each in filled.models(**wanted)] == found  # type: ignore[arg-type]


def test_a_description_changes_only_what_is_said(filled: Registry) -> None:
    told = filled.describe("default", "Wine", owner="eve", actor="ann")
    assert (told.owner, told.description, told.tags) == ("eve", "Tells 100% of the grapes", {"kind": "tabular"})
    assert [each.name for each in filled.models(search="eve")] == ["Wine"]
    assert filled.events(1)[0].action == "model.describe"


def test_an_unknown_model_is_told_with_names_alike(filled: Registry) -> None:
    with pytest.raises(NotFound, match="irises") as told:
        filled.model("default", "irises")
    assert "iris" in told.value.hint
    with pytest.raises(NotFound, match="no namespace 'nowhere'"):
        filled.model("nowhere", "iris")


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 70_000])
def test_text_that_cannot_be_kept_is_refused(filled: Registry, text: str) -> None:
    with pytest.raises(InvalidInput) as told:
        filled.describe("default", "iris", description=text)
    assert told.value.field == "description"


def test_text_of_all_languages_is_kept(filled: Registry) -> None:
    said = "Ψ 東京 🦈 'quoted' \"twice\" ; DROP TABLE models; --\n\t%"
    assert filled.describe("default", "iris", description=said, tags={said: said}).description == said
    assert filled.model("default", "iris").tags == {said: said}
