"""The same request over REST and gRPC has the same outcome, and the same numbers."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from shoal.core import errors
from shoal.core._generated import shoal_grpc_pb2 as grpc_pb
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Call, Format
from shoal.core.errors import InvalidInput
from shoal.core.model import ModelState
from shoal.serving.gateway.problems import OUTCOMES
from support.gateway_fakes import EchoDispatch, FakeRpc, Gateway, handle

KINDS = [
    errors.InvalidInput, errors.TooLarge, errors.PoisonInput, errors.NotFound, errors.Unsupported, errors.ModelError,
    errors.DeadlineExceeded, errors.Overloaded, errors.NotReady, errors.ModelContract, errors.PermissionDenied,
]  # fmt: skip

shapes = st.lists(
    st.one_of(st.integers(1, 3), st.integers(0, 6), st.sampled_from([-1, 2**31, 2**62])), min_size=1, max_size=9
)
names = st.sampled_from(["iris", "digits", "loading", "ghost", "a b", "..", "x" * 300])
versions = st.sampled_from(["", "", "", "1", "9", "a/b"])


class Strict(EchoDispatch):
    """Refuses data that does not fit its shape, as workers do."""

    def submit(self, call: Call) -> None:
        body = bytes(call.body)
        if call.format is Format.V2_PROTO:
            tensor = pb.ModelInferRequest.FromString(body).inputs[0]
            shape, size = list(tensor.shape), len(tensor.contents.fp32_contents)
        else:
            tensor = json.loads(body)["inputs"][0]
            shape, size = tensor["shape"], len(tensor["data"])
        self.error = None if math.prod(shape) == size else InvalidInput("the data does not fit the shape")
        super().submit(call)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(shapes)
    size = math.prod(shape)
    fitting = st.just([0.5] * size) if 0 < size < 300 else st.nothing()
    return {
        "name": draw(names),
        "version": draw(versions),
        "shape": shape,
        "data": draw(st.one_of(fitting, st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=9))),
        "priority": draw(st.sampled_from([None, 0, 1, 7, -1])),
        "timeout": draw(st.sampled_from([None, 0, 1_000_000, -5])),
        "header": draw(st.sampled_from([None, b"250", b"soon"])),
    }


def serve() -> Gateway:
    models = handle("iris"), handle("digits", "1"), handle("loading", state=ModelState.LOADING)
    for model in models:
        model.dispatch = Strict()
    return Gateway(*models)


def over_rest(served: Gateway, request: dict[str, Any], headers: dict[bytes, bytes]) -> tuple[str, Any]:
    version = f"/versions/{quote(request['version'], safe='')}" if request["version"] else ""
    parameters = {key: request[key] for key in ("priority", "timeout") if request[key] is not None}
    tensor = {"name": "x", "shape": request["shape"], "datatype": "FP32", "data": request["data"]}
    body = json.dumps({"inputs": [tensor], **({"parameters": parameters} if parameters else {})}).encode()
    answer = served.ask("POST", f"/v2/models/{quote(request['name'])}{version}/infer", body, headers).answer
    if answer.status != 200:
        code = answer.json()["code"]
        assert OUTCOMES[code].status == answer.status
        return code, None
    return "ok", answer.json()["outputs"][0]["data"]


def over_grpc(served: Gateway, request: dict[str, Any], headers: dict[bytes, bytes]) -> tuple[str, Any]:
    message = pb.ModelInferRequest(model_name=request["name"], model_version=request["version"])
    for key in ("priority", "timeout"):
        if request[key] is not None:
            message.parameters[key].int64_param = request[key]
    tensor = message.inputs.add(name="x", datatype="FP32", shape=request["shape"])
    tensor.contents.fp32_contents.extend(request["data"])
    rpc = served.infer(message.SerializeToString(), FakeRpc(headers))
    if rpc.failure is not None:
        details = grpc_pb.Status.FromString(rpc.failure[3]).details
        code = grpc_pb.ErrorInfo.FromString(details[0].value).reason.lower()
        assert OUTCOMES[code].grpc == rpc.code
        return code, None
    return "ok", list(pb.ModelInferResponse.FromString(rpc.finished[0]).outputs[0].contents.fp32_contents)


@given(requests())
def test_outcomes_and_numbers_are_the_same(request: dict[str, Any]) -> None:
    headers = {} if request["header"] is None else {b"x-request-timeout-ms": request["header"]}
    served = serve()
    rest = over_rest(served, request, headers)
    assert rest == over_grpc(served, request, headers)
    calls = [call for model in served.models.handles for call in model.dispatch.calls]
    if rest[0] == "ok":
        first, second = calls
        assert (first.rows, first.level, first.deadline) == (second.rows, second.level, second.deadline)


@given(st.sampled_from(KINDS))
def test_errors_of_the_model_are_the_same(kind: type[errors.ShoalError]) -> None:
    served = Gateway(handle("iris"))
    served.models.find("iris").dispatch.error = kind("it went wrong", hint="look", field="x")
    request = {"name": "iris", "version": "", "shape": [1], "data": [1.0], "priority": None, "timeout": None}
    assert over_rest(served, request, {}) == over_grpc(served, request, {}) == (kind.code, None)
