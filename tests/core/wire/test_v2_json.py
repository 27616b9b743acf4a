"""V2 JSON: what is taken, and what is refused with the path of the field."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput, ShoalError
from shoal.core.types import InferenceRequest
from shoal.core.wire import v2_json


def body(data: str = "[1,2]", shape: str = "[2]", datatype: str = "FP32", more: str = "", top: str = "") -> bytes:
    tensor = f'{{"name":"x","shape":{shape},"datatype":"{datatype}","data":{data}{more}}}'
    return f'{{"inputs":[{tensor}]{top}}}'.encode()


def read(text: bytes, **options: bool) -> InferenceRequest:
    return v2_json.decode_request(text, **options)


def refused(text: bytes, **options: bool) -> ShoalError:
    with pytest.raises(ShoalError) as caught:
        read(text, **options)
    assert caught.value.code in ("invalid_input", "unsupported", "too_large")
    return caught.value


@pytest.mark.parametrize("size", [1, 3, 900])
@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT8", "INT64", "UINT64", "BOOL"])
def test_nested_and_flat_data_are_the_same(datatype: str, size: int) -> None:
    values: list[Any] = [bool(at % 2) if datatype == "BOOL" else at % 100 for at in range(2 * size)]
    nested = [[values[:size]], [values[size:]]]
    flat = read(body(json.dumps(values), f"[2,1,{size}]", datatype)).inputs[0].data
    assert np.array_equal(read(body(json.dumps(nested), f"[2,1,{size}]", datatype)).inputs[0].data, flat)
    assert np.array_equal(read(body(json.dumps(nested, indent=1), f"[2,1,{size}]", datatype)).inputs[0].data, flat)
    assert flat.shape == (2, 1, size)


@given(st.permutations(["name", "shape", "datatype", "data", "parameters"]), st.sampled_from([None, 1]), st.booleans())
def test_the_order_of_keys_and_white_space_do_not_matter(order: list[str], indent: int | None, twice: bool) -> None:
    tensor = {
        "name": "data",
        "shape": [2],
        "datatype": "FP32",
        "data": [1.5, -2],
        "parameters": {"data": "[]", "k": True},
    }
    inputs = [{key: tensor[key] for key in order}]
    if twice:
        inputs.append({**tensor, "name": 'second"data":[1]'})
    got = read(json.dumps({"id": "data", "inputs": inputs}, indent=indent).encode())
    assert got.id == "data"
    for each in got.inputs:
        assert each.data.tolist() == [1.5, -2]
        assert each.parameters == tensor["parameters"]


@pytest.mark.parametrize(
    "shape", ["[16,1152921504606846978]", "[-1]", "[0]", "[2,-2]", "[]", "[4294967296,4294967296]", "[3]", "[1]"]
)
def test_shapes_that_cannot_be_or_do_not_fit(shape: str) -> None:
    assert refused(body(shape=shape)).field.startswith("inputs[0].")


def test_other_shapes_that_cannot_be() -> None:
    assert refused(body(shape="[1,1,1,1,1,1,1,1,2]")).field == "inputs[0].shape"
    assert refused(body(shape="[1.5]")).field == "inputs[0].shape[0]"
    assert refused(body(shape=f"[{'9' * 5000}]")).field == "inputs[0].shape[0]"
    assert refused(body("[[1,2],[3]]", "[2,2]")).field == "inputs[0].data"
    assert refused(body("[[1,2,3],[4]]", "[2,2]")).field == "inputs[0].data"
    many = [[0.0] * 1000, [0.0] * 1002]
    assert "shape" in refused(body(json.dumps(many), "[2,1001]")).message
    assert "shape" in refused(body(json.dumps(many), "[2147483647,1]")).message


@pytest.mark.parametrize(
    ("data", "datatype"),
    [
        ("[NaN,1]", "FP32"),
        ("[Infinity,1]", "FP32"),
        ("[1e999,1]", "FP64"),
        (f"[{'9' * 5000},1]", "FP32"),
        (f"[{'9' * 5000},1]", "INT64"),
        ("[1.5,1]", "INT64"),
        ("[1e3,1]", "INT32"),
        ("[true,1]", "FP32"),
        ('["1",1]', "FP32"),
        ("[null,1]", "FP32"),
        ("[1,0]", "BOOL"),
        ("[300,1]", "UINT8"),
        ("[-1,1]", "UINT64"),
        ("[-129,1]", "INT8"),
        ("[9223372036854775808,1]", "INT64"),
        ("[18446744073709551616,1]", "UINT64"),
        ("[1,2]", "BYTES"),
        ('["NaN",1]', "FP32"),
        ('["\\ud800","a"]', "BYTES"),
        ("[1,2]", "FP16"),
        ("[[[1,2]]]", "FP32"),
        ("1", "FP32"),
        ('"12"', "FP32"),
        ("{}", "FP32"),
        ("null", "FP32"),
        ("[01,2]", "FP32"),
        ("[1,2,]", "FP32"),
        ("[1,2]]", "FP32"),
        ("[1 2]", "FP32"),
        ("[]", "FP32"),
        ("[" * 101 + "]" * 101, "FP32"),
        ("[" * 100_000, "FP32"),
    ],
)
def test_elements_that_are_not_of_the_datatype(data: str, datatype: str) -> None:
    refused(body(data, datatype=datatype))
    refused(body(data, "[2]", datatype, more=',"parameters":{"a":1}'))


@pytest.mark.parametrize("bad", ["NaN", "1e999", "true", "null", '"a"', "9" * 5000, "[]", "1.5", "300"])
def test_one_bad_element_among_many(bad: str) -> None:
    good = [str(at % 100) for at in range(3000)]
    good[2000] = bad
    error = refused(body(f"[{','.join(good)}]", "[3000]", "UINT8"))
    assert error.field.startswith("inputs[0].data")


@pytest.mark.parametrize(
    "text",
    [
        body(top=',"inputs":[]'),
        body(more=',"name":"y"'),
        body(more=',"data":[3,4]'),
        body(top=',"x":{"a":1,"a":2}'),
        body(more=',"parameters":{"a":1,"a":2}'),
        body(top=',"id":"1","\\u0069d":"2"'),
        body('["a","b"]', datatype="BYTES", top=',"id":"","id":""'),
    ],
)
def test_a_key_twice_is_refused(text: bytes) -> None:
    assert "twice" in refused(text).message


@pytest.mark.parametrize("depth", [101, 500, 500_000])
@pytest.mark.parametrize("where", ["top", "more"])
def test_depth_in_what_nobody_asked_for(where: str, depth: int) -> None:
    assert "deep" in refused(body(**{where: ',"x":' + "[" * depth + "]" * depth})).message


def test_requests_that_lack_something() -> None:
    assert refused(b"{}").message.startswith("object missing required field 'inputs'")
    assert refused(b'{"inputs":[]}').field == "inputs"
    assert refused(b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}').field == "inputs[0].data"
    assert refused(body(datatype="FP33")).field == "inputs[0].datatype"
    assert refused(body(datatype="BF16")).code == "unsupported"
    one = '{"name":"x","shape":[1],"datatype":"FP32","data":[1]}'
    assert refused(f'{{"inputs":[{one},{one}]}}'.encode()).field == "inputs[1].name"
    assert refused(body(top=',"outputs":[{"name":"a"},{"name":"a"}]')).field == "outputs[1].name"
    assert refused(body(top=',"parameters":{"a":[1]}')).field == "parameters[...]"


def test_a_placeholder_cannot_be_forged() -> None:
    assert refused(b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":0,"parameters":{"data":[1,2]}}]}')
    assert refused(b'{"foo":{"data":[1,2]},"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":0}]}')
    assert read(b'{"foo":{"data":[1,2]},"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[7]}]}').inputs[
        0
    ].data == [7]


def test_very_many_small_lists_are_never_made() -> None:
    many = "[" + "[]," * 1_000_001 + "[]]"
    assert refused(body(many, "[1000002,1]", "BYTES")).field == "inputs[0].data"
    assert refused(body(many, "[1000002,1]", "FP32")).field == "inputs[0].data"


def test_special_numbers_need_permission() -> None:
    text = body('["NaN","-Infinity"]')
    refused(text)
    got = read(text, special=True).inputs[0].data
    assert np.isnan(got[0])
    assert got[1] == -np.inf
    refused(body('["nan",1]'), special=True)


def test_heads_are_remembered_and_data_is_not() -> None:
    decoder = v2_json.Decoder()
    first, second = decoder.decode(body("[1,2]")), decoder.decode(body("[3,4]"))
    assert first.head is second.head
    assert (first.data[0], second.data[0]) == ([1.0, 2.0], [3.0, 4.0])
    with pytest.raises(InvalidInput):
        decoder.decode(body("[3,4,5]"))


def large(data: Any, shape: list[int]) -> bytes:
    return body(json.dumps(data), json.dumps(shape), "FP64")


@pytest.mark.parametrize("shape", [[1, 2000], [2, 3, 500], [3000, 2], [40, 1, 40]])
def test_large_nested_data_is_the_same_as_flat(shape: list[int]) -> None:
    values = np.arange(np.prod(shape), dtype=np.float64)
    nested = read(large(values.reshape(shape).tolist(), shape)).inputs[0].data
    np.testing.assert_array_equal(nested, read(large(values.tolist(), shape)).inputs[0].data)


def test_large_lists_of_other_shapes_are_refused() -> None:
    row = list(range(1000))
    for data, shape in (
        ([*row[:-1], [999]], [1000]),  # one list too many
        ([[row[:-1]], [[*row, 999]]], [2, 1, 1000]),  # one too short, one too long
        ([[*row[:-2], [998, 999]], []], [2, 500]),
        ([[*row[:-2], [998, 999], []]], [1, 1, 1000]),  # as many lists as there should be
        ([[[*row, 1000, 1001]], row[:998]], [2, 1, 1000]),
        ([row, row], [1000, 2]),
    ):
        assert isinstance(refused(large(data, shape)), InvalidInput)
