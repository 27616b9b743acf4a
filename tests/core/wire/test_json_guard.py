"""JSON that is too deep, has a key twice, or is no JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput, TooLarge
from shoal.core.wire import json_guard, v1_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_what_has_each_key_once_and_is_not_deep_passes(value: Any) -> None:
    json_guard.scan(json.dumps(value).encode())
    json_guard.scan(json.dumps(value, ensure_ascii=False, indent=1).encode())


@given(values, st.text(max_size=4), values)
def test_a_key_twice_is_found_wherever_it_is(first: Any, key: str, second: Any) -> None:
    spelled = json.dumps(key), json.dumps(key, ensure_ascii=False)
    body = f'{{"x": [{{ {spelled[0]} : {json.dumps(first)}, {spelled[1]}:{json.dumps(second)}}}]}}'
    with pytest.raises(InvalidInput, match="twice"):
        json_guard.scan(body.encode())


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth_is_limited_to_100(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    json_guard.scan((opening * 100 + "1" + closing * 100).encode())
    with pytest.raises(InvalidInput, match="100 levels"):
        json_guard.scan((opening * 101 + "1" + closing * 101).encode())


def test_brackets_in_text_do_not_count() -> None:
    json_guard.scan(json.dumps(["[" * 500, {"a": '\\"]}' * 50}]).encode())
    with pytest.raises(InvalidInput, match="100 levels"):
        json_guard.scan(('["]",' * 101 + "1" + "]" * 101).encode())


def test_what_is_skipped_must_be_utf8_too() -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        json_guard.check(msgspec.json.Decoder(dict[str, int] | None).decode, b'{"a\x80": 1}')
    with pytest.raises(InvalidInput, match="UTF-8"):
        v1_json.Decoder().decode(b'{"na\x80me":"s","inputs":["a","b"]}')


def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(TooLarge):
        json_guard.scan(b"[" + b"[]," * 500_001 + b"1]")


@pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b'{"a" 1}', b"\xff", b'"\xff"', b"NaN", b"[" * 500_000])
def test_no_json_is_invalid_input(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        json_guard.check(msgspec.json.Decoder().decode, body)


def test_errors_have_the_path_of_the_field() -> None:
    decode = msgspec.json.Decoder(dict[str, list[int]]).decode
    with pytest.raises(InvalidInput) as caught:
        json_guard.parse(decode, b'{"a":[1,"x"]}', at="top")
    assert caught.value.field == "top[...][1]"
    assert caught.value.message == "expected 'int', got 'str'"
