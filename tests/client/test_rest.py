"""The REST dialect: what is asked, and what answers mean."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from shoal.client import ModelEntry, PartialFailure, ServerMetadata
from shoal.client.operations import Reply
from shoal.client.rest import RestDialect
from shoal.core.errors import InternalError, NotFound
from shoal.core.tensors import from_array
from shoal.core.types import InferenceRequest, InferenceResponse, Signature, TensorSpec
from shoal.core.wire import v2_binary, v2_json

REST = RestDialect()
REQUEST = InferenceRequest([from_array("x", np.array([[1.5, 2.5]]))], id="a", model_name="m/ü", model_version="2")


def ok(body: Any) -> Reply:
    return Reply(200, {}, json.dumps(body).encode())


def test_names_are_quoted_and_a_prefix_stands_in_front() -> None:
    operation = RestDialect("/ml").infer(REQUEST, timeout=1.0, binary=False, pure=True)
    assert operation.outgoing.path == b"/ml/v2/models/m%2F%C3%BC/versions/2/infer"


@pytest.mark.parametrize("binary", [True, False])
def test_a_request_is_what_a_server_reads(binary: bool) -> None:
    outgoing = REST.infer(REQUEST, timeout=1.5, binary=binary, pure=True).outgoing
    if binary:
        length = int(dict(outgoing.headers)[b"inference-header-content-length"])
        request = v2_binary.Decoder().decode(outgoing.body, length).to_request()
    else:
        request = v2_json.decode_request(outgoing.body)
    assert request.id == "a"
    assert request.parameters is not None
    assert request.parameters["timeout"] == 1_500_000
    assert request.inputs[0].as_numpy().tolist() == [[1.5, 2.5]]
    assert REQUEST.parameters is None, "the caller's request is left as it was"


def test_a_timeout_of_the_callers_own_is_kept() -> None:
    request = InferenceRequest(REQUEST.inputs, parameters={"timeout": 7}, model_name="m")
    outgoing = REST.infer(request, timeout=1.5, binary=False, pure=True).outgoing
    assert json.loads(outgoing.body)["parameters"] == {"timeout": 7}


@pytest.mark.parametrize("binary", [True, False])
def test_answers_become_arrays(binary: bool) -> None:
    answer = InferenceResponse([from_array("y", np.array([1, 2]))], "m", "2", "a")
    headers: dict[bytes, bytes] = {}
    body = v2_json.encode_response(answer)
    if binary:
        parts, length = v2_binary.encode_response(answer)
        body, headers = b"".join(bytes(part) for part in parts), {b"inference-header-content-length": b"%d" % length}
    decoded = REST.infer(REQUEST, timeout=1.0, binary=binary, pure=True).decode(Reply(200, headers, body))
    assert (decoded.model_name, decoded.model_version, decoded.id) == ("m", "2", "a")
    assert decoded.outputs[0].as_numpy().tolist() == [1, 2]


def test_a_predict_all_without_parameters_tells_its_timeout_in_a_header() -> None:
    for timeout, told in ((1.5, b"1500"), (0.0001, b"1")):
        outgoing = REST.predict_all("m", "", ["a"], timeout=timeout, pure=True).outgoing
        assert dict(outgoing.headers) == {b"content-type": b"application/json", b"x-request-timeout-ms": told}


def test_items_that_failed_leave_the_others_answers() -> None:
    operation = REST.predict_all("m", "", ["a", "b"], timeout=1.0, pure=True)
    assert json.loads(operation.outgoing.body) == {"inputs": ["a", "b"]}
    assert operation.decode(ok({"outputs": ["A", "B"]})) == ["A", "B"]
    with pytest.raises(PartialFailure, match="1 of 2 items failed; item 1: too short") as caught:
        operation.decode(ok({"outputs": ["A", None], "errors": {"1": "too short"}}))
    assert (caught.value.outputs, caught.value.errors) == (["A", None], {1: "too short"})


def test_what_a_server_tells() -> None:
    assert REST.server_metadata().decode(ok({"name": "s", "version": "1", "extensions": ["x"]})) == ServerMetadata(
        "s", "1", ("x",)
    )
    model = {
        "name": "m",
        "platform": "p",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [],
    }
    metadata = REST.metadata("m", "").decode(ok(model))
    assert (metadata.versions, metadata.signature) == ((), Signature((TensorSpec("x", "FP32", (-1, 4)),)))
    index = [{"name": "m", "version": "2", "state": "READY", "reason": ""}, {"name": "n"}]
    assert REST.index().decode(ok(index)) == [ModelEntry("m", "2", "READY", ""), ModelEntry("n", "", "", "")]
    assert REST.statistics("", "").outgoing.path == b"/v2/models/stats"


@pytest.mark.parametrize(("status", "ready"), [(200, True), (400, False), (503, False)])
def test_servers_say_not_ready_by_different_statuses(status: int, ready: bool) -> None:
    assert REST.ready("m", "").decode(Reply(status, {}, b"")) is ready


def test_an_unknown_model_is_not_merely_unready() -> None:
    with pytest.raises(NotFound):
        REST.ready("m", "").decode(Reply(404, {}, b'{"error": "no model"}'))


def test_changes_may_not_run_twice() -> None:
    load = REST.load("m", '{"a": 1}')
    assert json.loads(load.outgoing.body) == {"parameters": {"config": '{"a": 1}'}}
    assert not load.pure
    assert not REST.unload("m").pure
    assert REST.unload("m").decode(Reply(200, {}, b"")) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"null", b'{"name": 1}', b'{"inputs": [1]}', b"\xff"])
def test_an_answer_that_is_no_v2_is_one_clear_error(body: bytes) -> None:
    for operation in (REST.metadata("m", ""), REST.infer(REQUEST, timeout=1, binary=False, pure=True)):
        with pytest.raises(InternalError, match="not what the V2 protocol promises"):
            operation.decode(Reply(200, {}, body))


def test_the_documentations_example_is_found() -> None:
    request = {"inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [1]}]}
    content = {"application/json": {"example": request}}
    document = {"paths": {"/v2/models/m": {}, "/v2/models/m/infer": {"post": {"requestBody": {"content": content}}}}}
    assert json.loads(REST.example("m").decode(ok(document)) or b"") == request
    assert REST.example("m").decode(ok({"paths": {}})) is None
