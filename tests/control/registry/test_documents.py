from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.registry.documents import dump, load, pattern, searchable
from shoal.core.errors import InvalidInput
from shoal.core.registry import Lineage, Tags

_scalars = st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()


@given(st.dictionaries(st.text(), _scalars), st.dictionaries(st.text(), st.floats()))
def test_what_was_kept_is_the_same_value_again(parameters: dict[str, object], metrics: dict[str, float]) -> None:
    lineage = Lineage(hyperparameters=parameters, metrics=metrics)  # type: ignore[arg-type]
    try:
        text = dump(lineage, Lineage, "lineage")
    except InvalidInput:
        return
    assert load(text, Lineage) == lineage
    assert "\0" not in text


@pytest.mark.parametrize("value", [{"a": "\udc00"}, {"a": 1}, {1: "a"}, {"a": None}])
def test_what_would_not_be_the_same_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        dump(value, Tags, "tags")


@given(st.text(), st.text(), st.text())
def test_a_piece_is_found_wherever_it_is(before: str, piece: str, after: str) -> None:
    text = searchable(before + piece + after)
    wanted = "".join(
        re.escape(part[1])
        if part.startswith("\\")
        else ".*"
        if part == "%"
        else "."
        if part == "_"
        else re.escape(part)
        for part in re.findall(r"\\.|.", pattern(piece), re.S)
    )
    if piece.lower() in text:
        assert re.fullmatch(wanted, text, re.S)
    else:
        assert not re.fullmatch(wanted, text, re.S)
