"""YAML as an attacker, or a tired person, writes it."""

from __future__ import annotations

import contextlib
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import ConfigError
from shoal.core.settings import documents
from shoal.core.settings.documents import read


def complaint(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as raised:
        read(text, "f.yaml")
    return str(raised.value)


def bomb(levels: int = 9) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_values_lines_and_texts_are_read() -> None:
    document = read("a: 1\nb:\n  - x\n  - {c: no}\n", "f.yaml")
    assert document.value == {"a": 1, "b": ["x", {"c": False}]}
    assert document.line["a",] == 1
    assert document.line["b", 1, "c"] == 4
    assert document.text["b", 1, "c"] == "no"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: 'a' is there twice, first in line 1"),
        ("a: !!python/object/apply:os.system [id]", "f.yaml:1: the tag"),
        ("a: !!python/name:os.system", "f.yaml:1: the tag"),
        ("a: !!binary aGk=", "the tag"),
        ("a: !!set {x}", "the tag"),
        ("a: !mine x", "the tag !mine is not allowed"),
        ("x: &x {a: 1}\ny:\n  <<: *x", "f.yaml:3: merge keys"),
        ("? [a, b]\n: 1", "the name of a field must be text"),
        ("a: 1\n---\nb: 2", "f.yaml:2"),
        ("a: [1, 2", "f.yaml:"),
        ("a:\n\tb: 1", "f.yaml:2: found character"),
        ("a: *nothing", "f.yaml:1: found undefined alias"),
        ("[" * 100, "nested more than 32 deep"),
        ("- " * 100 + "x", "nested more than 32 deep"),
        ("a: &a [*a]", ""),
        ("a: &a x\nb: [" + "*a," * 200 + "]", "more than 100 aliases"),
        ("[" + "1," * 60_000 + "]", "more than 50000 values"),
        ("x" * 2_000_000, "at most 1048576 are read"),
        (b"\xff\xfe\xfa", "f.yaml"),
        (b"a: \xff", "f.yaml"),
        ("a: \x00", "f.yaml"),
        ("a: 0x", ""),
        ("a: !!bool 3", "f.yaml:1: '3' is no bool"),
        ("a: !!int ''", "f.yaml:1: '' is no int"),
        ("a: !!float ''", "f.yaml:1: '' is no float"),
        ("a: 1" + ":00" * 200 + ".0", "a number has at most 64 characters"),
        ("a: 0x" + "f" * 5000, "a number has at most 64 characters"),
    ],
)
def test_what_is_not_plain_or_bounded_is_refused(text: str | bytes, expected: str) -> None:
    if expected:
        assert expected in complaint(text)
    else:
        _read_or_refuse(text)


def test_alias_bomb_is_refused_before_it_is_built() -> None:
    text = bomb()
    assert len(text) < 1000
    assert "more than 50000 values" in complaint(text)


def test_deep_nesting_does_not_reach_the_parser() -> None:
    """Some versions of the library have a bound of their own, which says so in other words."""
    assert re.search(r"nested more than|nesting depth", complaint("[" * 500_000))
    assert re.search(r"nested more than|nesting depth", complaint("{a: " * 200_000))


def test_dates_stay_text() -> None:
    assert read("a: 2024-01-02", "f.yaml").value == {"a": "2024-01-02"}


def test_empty_text_is_nothing() -> None:
    assert read("", "f.yaml").value is None


def _read_or_refuse(text: str | bytes) -> None:
    with contextlib.suppress(ConfigError):
        read(text, "f.yaml")


@given(st.text(alphabet="ab:-[]{}&*!<>|'\" \n\t?,#%@\x00", max_size=60))
def test_no_text_does_anything_else(text: str) -> None:
    _read_or_refuse(text)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc no", max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(_PLAIN)
def test_plain_values_come_back(value: object) -> None:
    assert read(yaml.safe_dump(value), "f.yaml").value == value


def test_limits_are_small() -> None:
    assert documents.MAX_BYTES == 1024 * 1024
