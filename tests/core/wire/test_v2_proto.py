"""V2 protobuf: raw and typed contents, messages that lie, and the same policy as for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput, ShoalError
from shoal.core.types import InferenceRequest, Tensor
from shoal.core.wire import v2_proto
from support.tensors import requests


def message(
    shape: tuple[int, ...] = (2,), datatype: str = "INT16", raws: tuple[bytes, ...] = (), **contents: Any
) -> bytes:
    request = pb.ModelInferRequest(model_name="m", raw_input_contents=raws)
    tensor = request.inputs.add(name="x", datatype=datatype, shape=shape)
    for name, values in contents.items():
        getattr(tensor.contents, name).extend(values)
    encoded: bytes = request.SerializeToString()
    return encoded


def refused(body: bytes) -> ShoalError:
    with pytest.raises(ShoalError) as caught:
        v2_proto.Decoder().decode(body)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        message(int_contents=[1, 2], raws=(b"abcd",)),
        message(),
        message(raws=(b"abc",)),
        message(raws=(b"abcd", b"ab")),
        message(int_contents=[1, 2, 3]),
        message(int_contents=[1, 40_000]),
        message(int64_contents=[1, 2]),
        message(int_contents=[1, 2], fp32_contents=[1]),
        message(datatype="FP16", fp32_contents=[1, 2]),
        message(datatype="FP99", fp32_contents=[1, 2]),
        message((-1,), raws=(b"abcd",)),
        message((0,), raws=(b"",)),
        message((), raws=(b"ab",)),
        message((16, (1 << 60) + 2), raws=(b"abcd",)),
        message((1,) * 9, raws=(b"ab",)),
        message(datatype="BOOL", raws=(b"\x01\x02",)),
        pb.ModelInferRequest(model_name="m").SerializeToString(),
        b"\x00",
        b"\x0b",
        b"\x3a\x05ab",
        b"\xff" * 12,
        b"\x0a\x01\xff",
    ],
)
def test_messages_that_lie(body: bytes) -> None:
    assert refused(body).code == "invalid_input"


def test_names_twice_and_parameters_without_a_value() -> None:
    request = pb.ModelInferRequest.FromString(message(int_contents=[1, 2]))
    request.inputs.append(request.inputs[0])
    assert refused(request.SerializeToString()).field == "inputs[1].name"
    request = pb.ModelInferRequest.FromString(message(int_contents=[1, 2]))
    request.parameters["a"].SetInParent()
    assert refused(request.SerializeToString()).field == "parameters.a"


def test_raw_tensors_are_views_wherever_they_are_in_the_message() -> None:
    head, data = message(), np.array([5, 6], dtype=np.int16).tobytes()
    record = bytes((v2_proto.RAW_INPUT_TAG, 4)) + data
    for body in (head + record, record + head):
        buffer = bytearray(body)
        (array,) = v2_proto.Decoder().decode(buffer).data
        assert array.tolist() == [5, 6]
        buffer[buffer.index(record) + 2] = 7
        assert array.tolist() == [7, 6]


@given(st.lists(requests(finite=False), min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_a_remembering_decoder_reads_like_a_new_one(known: list[InferenceRequest], order: list[int]) -> None:
    decoder = v2_proto.Decoder()
    for at in order:
        body = v2_proto.encode_request(known[at % len(known)])
        one, other = decoder.decode(body), v2_proto.Decoder().decode(body)
        assert one.head == other.head
        for left, right in zip(one.data, other.data, strict=True):
            assert np.array_equal(left, right, equal_nan=isinstance(left, np.ndarray) and left.dtype.kind == "f")


@given(st.binary(max_size=60))
def test_noise_is_refused_or_read(noise: bytes) -> None:
    for body in (noise, message(raws=(b"abcd",)) + noise):
        try:
            v2_proto.Decoder().decode(body).to_request()
        except InvalidInput:
            continue


def test_large_unsigned_parameters() -> None:
    request = InferenceRequest([Tensor("x", [1], "FP32", [1.0])], parameters={"a": 2**64 - 1, "b": -1, "c": 0.5})
    assert v2_proto.decode_request(v2_proto.encode_request(request)).parameters == request.parameters
