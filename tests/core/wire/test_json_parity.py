"""Whatever is done to a V2 JSON body: what is accepted means what a plain JSON parser says it means."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.errors import ShoalError
from shoal.core.wire import v2_json

FRAGMENTS = [
    b'"data"', b'"data":', b'"data":[1]', b'"data":[1,2],', b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b" ", b"\n", b"1", b"-", b"e9",
    b'"name":"data",', b'"parameters":{"data":3},', b'"x":{"data":[1,2]},', b'"x":"\\"data\\":[1]",', b'"\\"data":[5],', b"0", b".5", b"null", b"[[1]]",
]  # fmt: skip

BODIES = [
    b'{"inputs":[{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}]}',
    b'{"id":"data","inputs":[{"name":"x","shape":[2],"datatype":"INT64","data":[1,2]},{"data":[3],"name":"y","shape":[1],"datatype":"FP64"}]}',
    b'{ "inputs" : [ { "data" : [ [ 1 , 2 ] , [ 3 , 4 ] ] , "name" : "data" , "shape" : [ 2 , 2 ] , "datatype" : "FP32" } ] }',
    b'{"inputs":[{"name":"t","shape":[1],"datatype":"BYTES","data":["\\"data\\":[1]"]},{"name":"x","shape":[1],"datatype":"FP32","data":[7]}]}',
]  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 4))
        body = body[:at] + draw(st.sampled_from([b"", *FRAGMENTS])) + body[at + cut :]
    return body


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


@settings(max_examples=1500)
@given(bodies())
def test_what_is_accepted_is_what_it_says(body: bytes) -> None:
    try:
        got = v2_json.decode_request(body)
    except ShoalError:
        return
    plain = json.loads(body, object_pairs_hook=no_key_twice)
    assert got.id == plain.get("id")
    assert len(got.inputs) == len(plain["inputs"])
    for mine, theirs in zip(got.inputs, plain["inputs"], strict=True):
        assert (mine.name, list(mine.shape), mine.datatype) == (theirs["name"], theirs["shape"], theirs["datatype"])
        assert mine.parameters == theirs.get("parameters")
        flat = np.array(theirs["data"]).reshape(-1).tolist()
        values = [each.decode() if isinstance(each, bytes) else each for each in mine.data.reshape(-1).tolist()]
        assert values == pytest.approx(flat, rel=1e-6) if mine.datatype != "BYTES" else values == flat


def outcome(decoder: v2_json.Decoder, body: bytes) -> Any:
    try:
        request = decoder.decode(body).to_request()
    except ShoalError as error:
        return type(error), error.message, error.field
    tensors = [(each.name, each.shape, each.datatype, each.data.tolist(), each.parameters) for each in request.inputs]
    return request.id, request.parameters, request.outputs, tensors


@settings(max_examples=1000)
@given(st.sampled_from(BODIES), bodies())
def test_what_came_before_does_not_matter(before: bytes, body: bytes) -> None:
    experienced = v2_json.Decoder()
    experienced.decode(before)
    assert outcome(experienced, body) == outcome(v2_json.Decoder(), body)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2))
def test_a_repeated_frame_is_read_with_its_own_numbers(numbers: list[float]) -> None:
    decoder = v2_json.Decoder()
    first = decoder.decode(BODIES[0])
    second = decoder.decode(BODIES[0].replace(b"[1,2]", json.dumps(numbers).encode()))
    assert second.head is first.head
    assert list(second.data[0]) == numbers


IDS = [b'{"id":"%b",', b'{ "id": "%b", ', b'{"id" : "%b" ,']


@settings(max_examples=1000)
@given(bodies(), st.sampled_from(IDS), st.sampled_from([b"", b"7", b"a b", b"\\u0041", b'"', b"\xc3\xa9", b"x" * 300]))
def test_an_id_in_front_does_not_change_what_is_accepted(body: bytes, form: bytes, id: bytes) -> None:
    for text in (
        form % id + body[1:],
        form % id + body[1:-1] + b',"id":null}',
        form % id + b'"\\u0069d":null,' + body[1:],
    ):
        test_what_is_accepted_is_what_it_says.hypothesis.inner_test(text)  # type: ignore[attr-defined]


def test_requests_that_differ_in_their_ids_share_a_head() -> None:
    decoder = v2_json.Decoder()
    first, second = (decoder.decode(b'{"id":"%d",' % at + BODIES[0][1:]) for at in range(2))
    assert first.head is second.head
    assert (first.id, second.id) == ("0", "1")
    assert (first.to_request().id, second.to_request().id) == ("0", "1")
