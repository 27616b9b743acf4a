"""V1: rows, columns, what datatypes they have, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.core.errors import InvalidInput, TooLarge
from shoal.core.wire import v1_json
from shoal.core.wire.heads import Decoded


def read(value: Any, key: str = "instances") -> Decoded:
    return v1_json.Decoder().decode(json.dumps({key: value}).encode())


@pytest.mark.parametrize("key", ["instances", "inputs"])
@pytest.mark.parametrize(
    ("value", "datatype", "shape", "flat"),
    [
        ([[1, 2], [3, 4]], "INT64", (2, 2), [1, 2, 3, 4]),
        ([[1, 2.5]], "FP64", (1, 2), [1, 2.5]),
        ([1.0, 2.0], "FP64", (2,), [1.0, 2.0]),
        (["a: b", ""], "BYTES", (2,), ["a: b", ""]),
        ([True], "BOOL", (1,), [True]),
        ([{"b64": "aGk="}], "BYTES", (1,), [b"hi"]),
        ([[[1]], [[2]]], "INT64", (2, 1, 1), [1, 2]),
    ],
)
def test_one_tensor(key: str, value: Any, datatype: str, shape: tuple[int, ...], flat: list[Any]) -> None:
    got = read(value, key)
    (head,) = got.head.inputs
    assert (head.name, head.datatype, head.shape, got.data[0]) == ("", datatype, shape, flat)
    assert got.head.columns == (key == "inputs")


def test_named_tensors_in_rows_and_columns() -> None:
    rows = read([{"a": [1, 2], "b": "x"}, {"b": "y", "a": [3, 4]}])
    columns = read({"a": [[1, 2], [3, 4]], "b": ["x", "y"]}, "inputs")
    for got in (rows, columns):
        assert [(each.name, each.shape) for each in got.head.inputs] == [("a", (2, 2)), ("b", (2,))]
        assert list(got.data) == [[1, 2, 3, 4], ["x", "y"]]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"instances":[1],"inputs":[1]}',
        b'{"instances":[]}',
        b'{"instances":[[1],[2,3]]}',
        b'{"instances":[[1],2]}',
        b'{"instances":5}',
        b'{"instances":[null]}',
        b'{"instances":[1,"a"]}',
        b'{"instances":[true,1]}',
        b'{"instances":[{"a":1},{"b":1}]}',
        b'{"instances":[{"a":1,"a":2}]}',
        b'{"instances":[1],"instances":[2]}',
        b'{"instances":[NaN]}',
        b'{"instances":[1e999]}',
        b'{"instances":[18446744073709551616]}',
        b'{"instances":[' + b"9" * 5000 + b"]}",
        b'{"instances":' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"instances":[1],"x":' + b"[" * 101 + b"]" * 101 + b"}",
        b'{"instances":' + b"[" * 500_000,
        b'{"instances":[{"b64":"?"}]}',
        b'{"instances":[1, {"c":1}]}',
        b'{"instances":null}',
        b'{"inputs":{}}',
        b"[]",
        b"",
    ],
)
def test_what_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        v1_json.Decoder().decode(body)


def test_very_many_small_lists_are_never_made() -> None:
    with pytest.raises(TooLarge):
        v1_json.Decoder().decode(b'{"instances":[' + b"[]," * 1_000_001 + b"[]]}")


def test_predictions() -> None:
    assert v1_json.encode_response([("y", [1, 2])], columns=False) == b'{"predictions":[1,2]}'
    two = [("a", [1, 2]), ("b", ["x", "y"])]
    assert json.loads(v1_json.encode_response(two, columns=False)) == {
        "predictions": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    }
    assert json.loads(v1_json.encode_response(two, columns=True)) == {"predictions": {"a": [1, 2], "b": ["x", "y"]}}
