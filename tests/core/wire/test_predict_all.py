"""The plain string route: every string arrives as it was sent."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput
from shoal.core.wire import predict_all

texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=5)


@given(texts)
def test_a_request(inputs: list[str]) -> None:
    assert predict_all.Decoder().decode(predict_all.encode_request(inputs)).data == (inputs,)


def test_any_kind_of_payload() -> None:
    inputs = [
        "",
        '{"a": [1, {"b": "c:d"}]}',
        "<a b='c'>&amp;</a>",
        base64.b64encode(bytes(range(256))).decode(),
        "日本語",
        "🐟👩‍👩‍👧",
        "x" * 2**20,
        "\x00\n",
    ]
    assert predict_all.Decoder().decode(predict_all.encode_request(inputs)).data == (inputs,)


@given(texts, st.dictionaries(st.integers(0, 4).map(str), st.text(max_size=5), max_size=2))
def test_a_response(outputs: list[str], errors: dict[str, str]) -> None:
    answers = [None if str(row) in errors else text for row, text in enumerate(outputs)]
    assert predict_all.decode_response(predict_all.encode_response(answers, errors)) == (answers, errors)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"inputs":["a",1]}', "inputs[1]"),
        (b'{"inputs":"a"}', "inputs"),
        (b'{"inputs":[]}', "inputs"),
        (b"{}", ""),
        (b'{"inputs":["a"],"inputs":["b"]}', "inputs"),
        (b'{"inputs":["a"],"x":' + b"[" * 101 + b"]" * 101 + b"}", ""),
        (b'{"inputs":["\\ud800"]}', ""),
        (b'{"inputs":["\xff"]}', ""),
        (b'["a"]', ""),
    ],
)
def test_what_is_refused(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        predict_all.Decoder().decode(body)
    assert caught.value.field.startswith(field)
