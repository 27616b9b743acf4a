"""V2 with binary tensors: mixed bodies, lengths that lie, raw mode."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from shoal.core.errors import ShoalError
from shoal.core.types import TensorSpec
from shoal.core.wire import v2_binary
from shoal.core.wire.heads import Decoded


def build(*inputs: dict[str, Any], tail: bytes = b"", **top: Any) -> tuple[bytes, int]:
    head = json.dumps({"inputs": list(inputs), **top}).encode()
    return head + tail, len(head)


def tensor(name: str = "x", shape: tuple[int, ...] = (2,), datatype: str = "INT16", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, **more}


def sized(size: object, **more: Any) -> dict[str, Any]:
    return tensor(parameters={"binary_data_size": size}, **more)


def refused(body: bytes, json_length: int) -> ShoalError:
    with pytest.raises(ShoalError) as caught:
        v2_binary.Decoder().decode(body, json_length)
    return caught.value


def test_json_and_binary_tensors_in_one_request() -> None:
    tail = struct.pack("<2h", -1, 300) + b"\x03\x00\x00\x00abc\x00\x00\x00\x00"
    inputs = [
        sized(4),
        tensor("j", (1, 2), "FP32", data=[[1.5, 2]]),
        tensor("t", datatype="BYTES", parameters={"binary_data_size": 11}),
    ]
    body, json_length = build(*inputs, tail=tail)
    decoder = v2_binary.Decoder()
    for _ in range(2):
        got = decoder.decode(body, json_length).to_request().inputs
        assert got[0].data.tolist() == [-1, 300]
        assert got[1].data.tolist() == [[1.5, 2.0]]
        assert got[2].data.tolist() == [b"abc", b""]


def test_tensors_are_views_of_the_body() -> None:
    body, json_length = build(sized(4), tail=struct.pack("<2h", 1, 2))
    buffer = bytearray(body)
    (data,) = v2_binary.Decoder().decode(buffer, json_length).data
    buffer[-1] = 1
    assert data.tolist() == [1, 258]


@pytest.mark.parametrize(
    ("inputs", "tail"),
    [
        ([sized(4)], b"abc"),
        ([sized(4)], b"abcde"),
        ([sized(3)], b"abc"),
        ([sized(-4)], b"abcd"),
        ([sized("4")], b"abcd"),
        ([sized(True)], b"abcd"),
        ([sized(2**62)], b"abcd"),
        ([sized(4, data=[1, 2])], b"abcd"),
        ([tensor()], b"abcd"),
        ([tensor(data=5)], b""),
        ([tensor(datatype="BOOL", parameters={"binary_data_size": 2})], b"\x01\x02"),
        ([tensor(datatype="BYTES", parameters={"binary_data_size": 5})], b"\x01\x00\x00\x00a"),
        ([tensor(datatype="BYTES", parameters={"binary_data_size": 9})], b"\xff\xff\xff\xffabcde"),
        ([tensor(datatype="BYTES", parameters={"binary_data_size": 3})], b"\x00\x00\x00"),
        ([tensor(shape=(1 << 40,), parameters={"binary_data_size": 4})], b"abcd"),
    ],
)
def test_lengths_that_lie(inputs: list[dict[str, Any]], tail: bytes) -> None:
    error = refused(*build(*inputs, tail=tail))
    assert error.code == "invalid_input"
    assert error.field.startswith("inputs")


def test_json_length_beyond_the_body() -> None:
    assert refused(b"{}", 3).code == "invalid_input"


def test_a_key_twice() -> None:
    head = b'{"inputs":[{"name":"x","shape":[2],"shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}}]}'
    assert "twice" in refused(head + b"abcd", len(head)).message


def raw(data: bytes, shape: tuple[int, ...], datatype: str = "FP32") -> Decoded:
    return v2_binary.decode_raw(data, (TensorSpec("in", datatype, shape),))


def test_raw_mode_is_one_row_of_the_only_input() -> None:
    got = raw(np.arange(4, dtype=np.float32).tobytes(), (-1, 4))
    assert got.head.binary
    assert got.head.inputs[0].shape == (1, 4)
    assert got.data[0].tolist() == [0, 1, 2, 3]
    assert raw(bytes(24), (-1, -1, 2)).head.inputs[0].shape == (1, 3, 2)
    assert raw(b"any text", (-1,), "BYTES").data == [[b"any text"]]


@pytest.mark.parametrize(
    ("length", "shape"), [(15, (-1, 4)), (32, (-1, 4)), (0, (-1, 4)), (7, (-1, -1)), (8, (-1, -1, -1))]
)
def test_raw_mode_that_does_not_fit(length: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShoalError):
        raw(bytes(length), shape)


def test_raw_mode_needs_one_declared_input() -> None:
    for specs in ((), (TensorSpec("a", "FP32", (-1,)), TensorSpec("b", "FP32", (-1,)))):
        with pytest.raises(ShoalError) as caught:
            v2_binary.decode_raw(b"1234", specs)
        assert caught.value.code == "unsupported"
