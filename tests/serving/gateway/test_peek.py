import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput
from shoal.serving.gateway import peek
from shoal.serving.gateway.peek import Peek
from support.gateway_fakes import v2


def test_sees_rows_priority_and_timeout() -> None:
    body = v2([3, 4], [0.5] * 12, id="7", parameters={"priority": 2, "timeout": 5000, "other": "x"})
    assert peek.v2(body) == Peek(3, 2, 5000)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.one_of(st.none(), st.text(max_size=5)),
    st.integers(0, 9),
    st.booleans(),
)
def test_sees_what_a_full_decoder_sees(shape: list[int], id_: str | None, priority: int, shape_last: bool) -> None:
    tensor: dict[str, Any] = {"name": "[", "shape": shape, "datatype": "FP32", "data": [1.0] * 2000}
    if shape_last:
        tensor["shape"] = tensor.pop("shape")
    body = json.dumps({"id": id_, "inputs": [tensor], "parameters": {"priority": priority}}).encode()
    assert peek.v2(body) == Peek(max(1, shape[0]), priority, 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"[", ""),
        (b"\xff", ""),
        (b"{}", ""),
        (b'{"inputs":[]}', "inputs"),
        (b'{"inputs":[{"name":"x"}]}', "inputs[0]"),
        (v2([-1]), "inputs[0].shape[0]"),
        (v2([2**60]), "inputs[0].shape[0]"),
        (b'{"inputs":[{"shape":[' + b"9" * 5000 + b"]}]}", "inputs[0].shape[0]"),
        (v2([2**31, 2**31]), "inputs[0].shape"),
        (v2([2**50, 0]), "inputs[0].shape"),
        (v2([2**4, 2**60 + 2]), "inputs[0].shape[1]"),
        (v2([1] * 9), "inputs[0].shape"),
        (b'{"inputs":[{"shape":[1.5]}]}', "inputs[0].shape[0]"),
        (v2(parameters={"priority": "high"}), "parameters.priority"),
        (v2(parameters={"timeout": -1}), "parameters.timeout"),
        (v2() + b"x", ""),
        (b'{"inputs":[{"shape":[1],"data":[NaN]}]}', ""),
    ],
)
def test_refuses_what_cannot_be(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        peek.v2(body)
    assert caught.value.field == field


@pytest.mark.parametrize("depth", [101, 999, 20_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_refuses_deep_nesting_everywhere(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deep = (opening * depth + "1" + closing * depth)[: peek.SMALL - 200].encode()
    for look in (peek.v2, peek.texts, peek.v1):
        for body in (b'{"inputs":[{"shape":[1],"data":' + deep + b"}]}", b'{"x":' + deep + b',"instances":[1]}', deep):
            with pytest.raises(InvalidInput, match="deep"):
                look(body)


@given(st.integers(1, 130), st.integers(0, 130))
def test_depth_is_counted_exactly(depth: int, width: int) -> None:
    text = (b'["[[[",' * depth + b"[]," * width + b"1" + b"]" * depth) if depth else b"1"
    assert peek._deeper_than(text, 100) == (max(depth, depth + 1 if width else 0) > 100)


def test_flat_bodies_with_many_lists_are_not_deep() -> None:
    rows = [[1.0, 2.0]] * 1000
    assert peek.v2(v2([1000, 2], rows)).rows == 1000


def test_binary_requests_are_seen_by_their_json_only() -> None:
    text = b'{"inputs":[{"name":"a","shape":[2,2],"datatype":"FP32","parameters":{"binary_data_size":16}}]}'
    assert peek.v2(text + b"\xff" * 16, len(text)) == Peek(2)
    assert peek.v2(b"\xff" * 16, 0) == Peek(1)


@pytest.mark.parametrize("shape_first", [True, False])
def test_large_bodies_are_looked_at_from_both_ends(shape_first: bool) -> None:
    data = [0.25] * 40_000
    parts = {"shape": [10_000, 4], "data": data} if shape_first else {"data": data, "shape": [10_000, 4]}
    body = json.dumps({"inputs": [{"name": "x", **parts}], "parameters": {"priority": 3, "timeout": 99}}).encode()
    assert len(body) > peek.SMALL
    assert peek.v2(body) == Peek(10_000, 3, 99)


def test_large_bodies_of_anything_cost_nothing_and_never_weigh_more_than_their_bytes() -> None:
    assert peek.v2(b"\xff" * 100_000) == Peek(1)
    with pytest.raises(InvalidInput):
        peek.v2(b'{"shape": [999999999999]' + b" " * 100_000)
    assert peek.v1(b"[" * 100_000) == Peek(1)
    assert peek.texts(b'"' * 100_000) == Peek(1)


@given(st.integers(2000, 4000), st.integers(30, 60))
def test_large_lists_are_estimated_by_their_first_item(count: int, length: int) -> None:
    texts = json.dumps({"inputs": ["x, [y]" + "z" * length] * count}).encode()
    rows = json.dumps({"instances": [[0.125] * (length // 4)] * count}).encode()
    if len(texts) > peek.SMALL:
        assert abs(peek.texts(texts).rows - count) <= count * 0.1
    if len(rows) > peek.SMALL:
        assert abs(peek.v1(rows).rows - count) <= count * 0.1


def test_plain_strings_and_v1_instances_are_counted() -> None:
    assert peek.texts(b'{"inputs":["a","b"]}') == Peek(2)
    assert peek.texts(b'{"inputs":[]}') == Peek(1)
    assert peek.v1(b'{"instances":[[1],[2],[3]]}') == Peek(3)
    assert peek.v1(b'{"inputs":{"a":[1]}}') == Peek(1)
    with pytest.raises(InvalidInput) as caught:
        peek.texts(b'{"inputs":["a",2]}')
    assert caught.value.field == "inputs[1]"
    with pytest.raises(InvalidInput):
        peek.v1(b'{"signature_name":"x"}')
