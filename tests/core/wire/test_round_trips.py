"""Every codec, both ways, all datatypes: what is written is what is read."""

from hypothesis import given

from shoal.core.types import InferenceRequest, InferenceResponse
from shoal.core.wire import v2_binary, v2_json, v2_proto
from support.tensors import requests, responses, same_request, same_response


@given(requests(fp16=False, text=True))
def test_a_json_request(request: InferenceRequest) -> None:
    assert same_request(v2_json.decode_request(v2_json.encode_request(request)), request)


@given(requests(fp16=False, text=True, finite=False))
def test_a_json_request_that_may_hold_nan(request: InferenceRequest) -> None:
    body = v2_json.encode_request(request, special=True)
    assert same_request(v2_json.decode_request(body, special=True), request)


@given(responses(fp16=False, text=True, finite=False))
def test_a_json_response(response: InferenceResponse) -> None:
    body = v2_json.encode_response(response, special=True)
    assert same_response(v2_json.decode_response(body), response)


@given(requests(finite=False))
def test_a_binary_request(request: InferenceRequest) -> None:
    body, json_length = v2_binary.encode_request(request, binary_output=False)
    decoded = v2_binary.Decoder().decode(body, json_length).to_request()
    for each in decoded.inputs:
        assert each.parameters is not None
        each.parameters = {key: value for key, value in each.parameters.items() if key != v2_binary.SIZE}
    assert same_request(decoded, request)


@given(responses(finite=False))
def test_a_binary_response(response: InferenceResponse) -> None:
    parts, json_length = v2_binary.encode_response(response)
    assert same_response(v2_binary.decode_response(b"".join(parts), json_length), response)


@given(requests(finite=False))
def test_a_raw_protobuf_request(request: InferenceRequest) -> None:
    decoder = v2_proto.Decoder()
    body = v2_proto.encode_request(request)
    for _ in range(2):
        decoded = decoder.decode(body)
        assert decoded.head.binary
        assert same_request(decoded.to_request(), request)


@given(requests(finite=False, fp16=False))
def test_a_typed_protobuf_request(request: InferenceRequest) -> None:
    assert same_request(v2_proto.decode_request(v2_proto.encode_request(request, raw=False)), request)


@given(responses(finite=False))
def test_a_raw_protobuf_response(response: InferenceResponse) -> None:
    assert same_response(v2_proto.decode_response(b"".join(v2_proto.encode_response(response))), response)


@given(responses(finite=False, fp16=False))
def test_a_typed_protobuf_response(response: InferenceResponse) -> None:
    assert same_response(v2_proto.decode_response(b"".join(v2_proto.encode_response(response, raw=False))), response)
