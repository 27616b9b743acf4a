"""Overlays: what is said above wins, and each field still knows where it was written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.settings.documents import Path, read
from shoal.core.settings.overlays import Laid, lay

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=3)
PLAIN = st.dictionaries(NAMES, st.integers(0, 9) | st.dictionaries(NAMES, st.integers(0, 9), max_size=3), max_size=3)


def laid(base: dict[str, Any], over: dict[str, Any] | None, exclusive: tuple[frozenset[str], ...] = ()) -> Laid:
    return lay(read(json.dumps({**base, "environments": {"e": over}}), "f.yaml"), "e", exclusive)


def at(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def paths(value: Any, path: Path = ()) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for part, each in inner for found in paths(each, (*path, part)))]


def test_lines_and_texts_are_those_of_the_overlay() -> None:
    document = read("a: 1\nb: {c: 2, d: 3}\nenvironments:\n  e:\n    b:\n      c: no\n", "f.yaml")
    found = lay(document, "e")
    assert found.document.value == {"a": 1, "b": {"c": False, "d": 3}}
    assert found.document.line["b", "c"] == 6
    assert found.document.text["b", "c"] == "no"
    assert found.document.line["b", "d"] == 2
    assert found.written(("b", "c")) == ("environments", "e", "b", "c")
    assert found.written(("b", "missing")) == ("environments", "e", "b", "missing")
    assert found.written(("a", "missing")) == ("a", "missing")
    assert found.written(("missing",)) == ("missing",)


def test_one_of_a_group_ends_the_others_but_not_itself() -> None:
    group = (frozenset({"a", "b"}),)
    assert laid({"a": 1, "c": 2}, {"b": 3}, group).document.value == {"b": 3, "c": 2}
    assert laid({"a": {"x": 1}}, {"a": {"y": 2}}, group).document.value == {"a": {"x": 1, "y": 2}}
    assert laid({"a": 1}, {"b": None}, group).document.value == {"a": 1}


@given(FIELDS)
def test_nothing_laid_over_changes_nothing(base: dict[str, Any]) -> None:
    for over in ({}, None):
        assert laid(base, over).document.value == base


@given(PLAIN, PLAIN)
def test_what_is_said_above_wins_and_the_rest_stays(base: dict[str, Any], over: dict[str, Any]) -> None:
    value = laid(base, over).document.value
    for path in paths(over):
        if not isinstance(at(over, path), dict):
            assert at(value, path) == at(over, path)
    assert value.keys() == base.keys() | over.keys()
    assert all(value[name] == base[name] for name in base.keys() - over.keys())


@given(FIELDS, FIELDS)
def test_laying_the_same_over_again_changes_nothing(base: dict[str, Any], over: dict[str, Any]) -> None:
    once = laid(base, over).document.value
    assert laid(once, over).document.value == once


@given(FIELDS, FIELDS)
def test_every_field_was_written_where_it_is_said_to_be(base: dict[str, Any], over: dict[str, Any]) -> None:
    document = read(json.dumps({**base, "environments": {"e": over}}), "f.yaml")
    found = lay(document, "e")
    for path in paths(found.document.value):
        written, value = at(document.value, found.written(path)), at(found.document.value, path)
        assert written == value or isinstance(value, dict)
        assert found.document.line[path] == document.line[found.written(path)]
