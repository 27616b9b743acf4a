"""What a user's file asks for."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.payloads import Payload, from_json, made_up, parse
from shoal.core.errors import InvalidInput
from shoal.core.tensors import from_array
from shoal.core.types import Signature, TensorSpec

IRIS = Signature((TensorSpec("X", "FP32", (-1, 4)),))
TEXT = Signature((TensorSpec("text", "BYTES", (-1,)),))
ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.mark.parametrize(
    "data",
    [
        [ROW],
        {"instances": [ROW]},
        {"X": [ROW]},
        [{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}],
        {"inputs": [ROW]},
        {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": ROW}]},
    ],
)
def test_json_in_any_common_form_is_understood(data: Any) -> None:
    [tensor] = from_json(data, IRIS).tensors
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("X", "FP32", [1, 4])
    assert tensor.as_numpy().ravel().tolist() == np.float32(ROW).tolist()


@pytest.mark.parametrize("data", [["a", "b"], {"inputs": ["a", "b"]}])
def test_texts_are_understood(data: Any) -> None:
    assert from_json(data, TEXT).tensors[0].as_numpy().tolist() == [b"a", b"b"]


def test_a_v2_request_keeps_what_it_says_besides() -> None:
    payload = from_json(
        {
            "inputs": [{"name": "X", "shape": [1], "datatype": "INT8", "data": [1]}],
            "parameters": {"priority": 1},
            "outputs": [{"name": "y"}],
        },
        IRIS,
    )
    assert (payload.parameters, payload.outputs) == ({"priority": 1}, ["y"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"null", b'{"inputs": [{"datatype": "INT8", "data": 1}]}'])
def test_what_is_no_request_is_told_in_a_sentence(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(content, "json", IRIS)


def test_csv_becomes_the_matrix_that_the_model_takes() -> None:
    [tensor] = parse(b"a,b,c,d\n1,2,3,4\n5,6,7,8\n", "csv", IRIS).tensors
    assert (tensor.name, tensor.shape, tensor.datatype) == ("X", [2, 4], "FP32")


@given(st.integers(1, 50), st.integers(1, 20))
def test_chunks_put_together_are_the_whole(rows: int, size: int) -> None:
    whole = np.arange(rows * 2).reshape(rows, 2)
    chunks = list(Payload([from_array("x", whole), from_array("y", whole[:, 0])]).chunks(size))
    assert all(chunk.rows <= size for chunk in chunks)
    for number, expected in enumerate((whole, whole[:, 0])):
        parts = [chunk.tensors[number].as_numpy() for chunk in chunks]
        assert np.concatenate(parts).tolist() == expected.tolist()


def test_a_request_is_made_up_from_the_signature() -> None:
    signature = Signature(
        (
            TensorSpec("a", "FP32", (-1, 3)),
            TensorSpec("b", "BYTES", (-1,)),
            TensorSpec("c", "BOOL", (-1, -1)),
            TensorSpec("d", "INT8", (-1, 2)),
        )
    )
    payload = made_up(signature, rows=2)
    assert [(each.datatype, each.shape) for each in payload.tensors] == [
        ("FP32", [2, 3]),
        ("BYTES", [2]),
        ("BOOL", [2, 1]),
        ("INT8", [2, 2]),
    ]
    assert json.dumps([each.as_numpy().tolist() for each in payload.tensors], default=bytes.decode)


def test_a_model_that_tells_nothing_needs_an_input() -> None:
    with pytest.raises(InvalidInput, match="does not tell its inputs"):
        made_up(Signature())
