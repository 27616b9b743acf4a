import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput
from shoal.serving.gateway import peek_proto
from shoal.serving.gateway.peek import Peek
from support.gateway_fakes import proto


def look(message: bytes) -> tuple[str, str, Peek]:
    name, version, at = peek_proto.model(message)
    return name, version, peek_proto.request(message, at)


@given(
    st.text(min_size=1, max_size=200),
    st.text(max_size=5),
    st.text(max_size=5),
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
)
def test_sees_what_protobuf_sees(
    name: str, version: str, id_: str, shape: list[int], priority: int, timeout: int
) -> None:
    message = pb.ModelInferRequest(model_name=name, model_version=version, id=id_)
    message.parameters["priority"].int64_param = priority
    message.parameters["timeout"].uint64_param = timeout
    message.parameters["other"].string_param = "priority"
    message.inputs.add(name="a" * 300, datatype="FP32", shape=shape).parameters["x"].bool_param = True
    message.inputs.add(name="b", datatype="FP32", shape=[1])
    message.raw_input_contents.append(bytes(1 << 20))
    encoded = message.SerializeToString()
    if math.prod(shape) <= len(encoded):
        assert look(encoded) == (name, version, Peek(max(1, shape[0]), priority, timeout))


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_seen_or_refused(noise: bytes) -> None:
    with suppress(InvalidInput):
        look(b"\x0a\x04iris" + noise)


@given(st.data())
def test_a_message_that_is_cut_is_seen_or_refused(data: st.DataObject) -> None:
    whole = proto(shape=(2, 4)).SerializeToString()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    with suppress(InvalidInput):
        look(cut)


@pytest.mark.parametrize("shape", [(-1, 4), (2**40, 2**40), (2**40, 0), (1,) * 9, (2**63 - 1,)])
def test_refuses_shapes_that_cannot_be(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        look(proto(shape=shape).SerializeToString())
    assert caught.value.field == "inputs.shape"


def test_takes_shapes_that_are_not_packed() -> None:
    tensor = b"\x0a\x01a\x18\x03\x18\x02"
    assert look(b"\x0a\x01m\x2a" + bytes([len(tensor)]) + tensor + b"\x3a\x18" + b"\0" * 24)[2] == Peek(3)


def test_an_entry_with_unknown_fields_is_no_parameter() -> None:
    entry = b"\x0a\x07timeout\x2d0.0\x12"  # field 5 of a map's entry: protobuf keeps it all as unknown
    assert look(b"\x0a\x04iris\x22" + bytes([len(entry)]) + entry)[2] == Peek()


def test_refuses_parameters_of_the_wrong_kind() -> None:
    message = proto()
    message.parameters["priority"].string_param = "high"
    with pytest.raises(InvalidInput) as caught:
        look(message.SerializeToString())
    assert caught.value.field == "parameters.priority"


def test_a_million_fields_are_not_walked() -> None:
    assert look(b"\x0a\x01m" + b"\x1a\x00" * 1_000_000)[2] == Peek(1)


@pytest.mark.parametrize(
    "message", [b"", b"\x0a", b"\x0a\x05ab", b"\x12\x01a", b"\x1a", b"\x0a\x01\xff", b"\x0a" + b"\xff" * 20]
)
def test_without_a_whole_name_nothing_goes(message: bytes) -> None:
    with pytest.raises(InvalidInput):
        look(message)


def test_fields_may_come_in_any_order() -> None:
    tensor = pb.ModelInferRequest()
    tensor.inputs.add(name="a", shape=[2], datatype="BOOL").contents.bool_contents.extend([True, True])
    rest = tensor.SerializeToString()
    assert look(rest + b"\x12\x012" + b"\x0a\x01m") == ("m", "2", Peek(2))
    with pytest.raises(InvalidInput):
        look(b"\x1a\x00" * 100 + b"\x0a\x01m")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "a", "other"]),
            st.lists(st.integers(0, 4), min_size=1, max_size=3),
            st.integers(0, 3),
            st.binary(max_size=6),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_what_is_remembered_is_what_would_be_seen(
    requests: list[tuple[str, list[int], int, bytes, bool]],
) -> None:
    peeks = peek_proto.Peeks()
    for id_, shape, priority, raw, is_raw in requests:
        message = pb.ModelInferRequest(model_name="iris", id=id_)
        message.inputs.add(name="x", datatype="UINT8", shape=shape)
        if priority:
            message.parameters["priority"].int64_param = priority
        if is_raw:
            message.raw_input_contents.append(raw)
        encoded = message.SerializeToString()
        at = peek_proto.model(encoded)[2]
        try:
            wanted = peek_proto.request(encoded, at)
        except InvalidInput:
            with pytest.raises(InvalidInput):
                peeks.request(encoded, at)
        else:
            assert peeks.request(encoded, at) == peeks.request(encoded, at) == wanted
