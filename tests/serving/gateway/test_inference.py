import pytest

from shoal.core import errors
from shoal.core.call import Format
from shoal.core.model import ModelState
from shoal.serving.gateway import calls
from support.gateway_fakes import FakeExchange, FakeRpc, Gateway, handle, proto, v2

INFER = "/v2/models/iris/infer"


def gateway(**changes: object) -> Gateway:
    return Gateway(handle("iris", **changes), handle("digits", "1"), handle("digits", "2"))


def test_a_v2_request_becomes_a_call_with_its_weight_and_deadline() -> None:
    served = gateway(timeout=10.0)
    answer = served.post(INFER, v2([3, 4], [0.5] * 12))
    assert answer.status == 200
    assert answer.json()["outputs"][0]["shape"] == [3, 4]
    assert answer.header_list == []
    (call,) = served.models.find("iris").dispatch.calls
    assert (call.format, call.rows, call.level, call.json_length) == (Format.V2_JSON, 3, 1, -1)
    assert (call.arrived, call.deadline) == (1000.0, 1010.0)


@pytest.mark.parametrize(
    ("parameter_us", "header", "grpc_deadline", "seconds"),
    [
        (0, None, None, 10.0),
        (2_000_000, None, None, 2.0),
        (0, b"500", None, 0.5),
        (2_000_000, b"500.5", 1003.0, 0.5005),
        (0, b"99999", None, 10.0),
        (0, None, 1003.0, 3.0),
        (0, None, 1003000.0, 10.0),
    ],
)
def test_the_least_timeout_counts(
    parameter_us: int, header: bytes | None, grpc_deadline: float | None, seconds: float
) -> None:
    served = gateway(timeout=10.0)
    headers = {} if header is None else {b"x-request-timeout-ms": header}
    message = proto()
    parameters = {}
    if parameter_us:
        message.parameters["timeout"].int64_param = parameter_us
        parameters["parameters"] = {"timeout": parameter_us}
    served.infer(message.SerializeToString(), FakeRpc(headers, grpc_deadline))
    calls = served.models.find("iris").dispatch.calls
    assert calls[0].deadline == pytest.approx(1000.0 + seconds)
    if grpc_deadline is None:
        served.ask("POST", INFER, v2(**parameters), headers)
        assert calls[1].deadline == calls[0].deadline


@pytest.mark.parametrize("value", [b"", b"-1", b"soon", b"1e3", b"9" * 30])
def test_a_timeout_that_is_no_number_is_refused(value: bytes) -> None:
    served = gateway()
    assert served.ask("POST", INFER, v2(), {b"x-request-timeout-ms": value}).answer.status == 400
    assert served.infer(proto().SerializeToString(), FakeRpc({b"x-request-timeout-ms": value})).code == 3


@pytest.mark.parametrize(("priority", "level"), [(0, 1), (1, 0), (2, 1), (3, 2), (4, 3), (1000, 3)])
def test_priorities_are_levels(priority: int, level: int) -> None:
    served = gateway()
    served.post(INFER, v2(parameters={"priority": priority}))
    message = proto()
    message.parameters["priority"].uint64_param = priority
    served.infer(message.SerializeToString())
    assert [call.level for call in served.models.find("iris").dispatch.calls] == [level, level]
    assert calls.level_of(priority) == level


@pytest.mark.parametrize(
    ("name", "priority", "level"),
    [("interactive", 0, 1), ("batch", 0, 2), ("shadow", 0, 3), ("batch", 1, 2), ("batch", 4, 3), ("interactive", 3, 2)],
)
def test_of_class_and_priority_the_less_urgent_counts(name: str, priority: int, level: int) -> None:
    served, headers = gateway(), {b"x-shoal-class": name.encode()}
    served.ask("POST", INFER, v2(parameters={"priority": priority}), headers)
    message = proto()
    message.parameters["priority"].uint64_param = priority
    served.infer(message.SerializeToString(), FakeRpc(headers))
    assert [call.level for call in served.models.find("iris").dispatch.calls] == [level, level]


@pytest.mark.parametrize("name", [b"", b"urgent", b"Batch", b"batch, shadow"])
def test_a_class_that_does_not_exist_is_refused(name: bytes) -> None:
    served = gateway()
    answer = served.ask("POST", INFER, v2(), {b"x-shoal-class": name}).answer
    assert (answer.status, answer.json()["field"]) == (400, "x-shoal-class")
    assert served.infer(proto().SerializeToString(), FakeRpc({b"x-shoal-class": name})).code == 3


def test_binary_tensors_go_as_they_are() -> None:
    served = gateway()
    text = b'{"inputs":[{"name":"a","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}'
    answer = served.post(INFER, text + b"\0\1\2\3\4\5\6\7", inference_header_content_length=str(len(text)))
    assert answer.status == 200
    assert answer.content_type == b"application/octet-stream"
    json_length = int(answer.headers[b"inference-header-content-length"])
    assert answer.body[json_length:] == b"\0\1\2\3\4\5\6\7"
    assert served.models.find("iris").dispatch.calls[0].rows == 2


def test_raw_mode_has_no_json_at_all() -> None:
    served = gateway()
    named = {"inference_header_content_length": "0", "content_type": "application/octet-stream"}
    answer = served.post(INFER, b"\xff" * 16, **named)
    assert answer.status == 200
    (call,) = served.models.find("iris").dispatch.calls
    assert (call.json_length, call.rows) == (0, 1)


@pytest.mark.parametrize("length", ["-1", "x", "", "9999", "1" * 20, "٣"])
def test_a_wrong_json_length_is_refused(length: str) -> None:
    answer = gateway().post(INFER, v2(), inference_header_content_length=length)
    assert (answer.status, answer.json()["field"]) == (400, "Inference-Header-Content-Length")


def test_binary_tensors_exist_in_v2_only() -> None:
    answer = gateway().post("/v1/models/iris:predict", b'{"instances":[1]}', inference_header_content_length="3")
    assert answer.status == 501


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON ; x=y", 200),
        ("application/octet-stream", 200),
        ("application/x-www-form-urlencoded", 200),
        ("application/vnd.x+json", 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
        ("<script>alert(1)</script>", 415),
        ("", 415),
    ],
)
def test_content_types(content_type: str, status: int) -> None:
    answer = gateway().post(INFER, v2(), content_type=content_type)
    assert answer.status == status
    assert b"<script>" not in answer.body or answer.headers[b"x-content-type-options"] == b"nosniff"


def test_the_other_formats() -> None:
    served = gateway()
    assert served.post("/v2/models/iris/predict_all", '{"inputs":["a","b"]}').json() == {"outputs": ["a", "b"]}
    assert served.post("/v1/models/iris:predict", '{"instances":[[1],[2]]}').json() == {"predictions": [[1], [2]]}
    assert served.post("/v2/models/digits/versions/1/infer", v2()).status == 200
    assert served.post("/v1/models/digits/versions/1:predict", '{"instances":[1]}').status == 200
    assert [(call.format, call.rows) for call in served.models.find("iris").dispatch.calls] == [
        (Format.PREDICT_ALL, 2),
        (Format.V1_JSON, 2),
    ]
    assert len(served.models.find("digits", "1").dispatch.calls) == 2


@pytest.mark.parametrize("state", [ModelState.LOADING, ModelState.UNLOADING, ModelState.UNAVAILABLE])
def test_a_model_that_is_not_ready_says_why(state: ModelState) -> None:
    served = gateway(state=state, reason="the file is broken")
    for _ in range(2):
        answer = served.post(INFER, v2())
        assert (answer.status, answer.json()["code"]) == (503, "not_ready")
        assert "the file is broken" in answer.json()["error"]
        assert answer.headers[b"retry-after"] == b"1"
        assert served.infer(proto().SerializeToString()).code == 14
    assert served.models.find("iris").dispatch.calls == []
    assert served.refused() == {}, "the model itself refuses, and counts it"


def test_errors_of_the_model_are_not_refusals() -> None:
    served = gateway()
    served.models.find("iris").dispatch.error = errors.ModelError("it raised", hint="look")
    assert served.post(INFER, v2()).status == 502
    assert served.infer(proto().SerializeToString()).code == 2
    assert served.refused() == {}


def test_a_client_that_leaves_cancels_its_call() -> None:
    served = gateway()
    dispatch = served.models.find("iris").dispatch
    dispatch.hold = True
    exchange = served.ask("POST", INFER, v2())
    rpc = served.infer(proto().SerializeToString())
    for each in (exchange, rpc):
        assert each.on_gone is not None
        each.on_gone()
        assert each.on_gone is None
    assert dispatch.cancelled == dispatch.calls
    assert not any(call.answer(b"late", -1) for call in dispatch.calls)
    assert (exchange.answers, rpc.finished) == ([], [])


def test_an_answered_request_leaves_no_cycle_behind() -> None:
    served = gateway()
    dispatch = served.models.find("iris").dispatch
    dispatch.hold = True
    exchange, rpc = served.ask("POST", INFER, v2()), served.infer(proto().SerializeToString())
    for call in dispatch.calls:
        call.answer(b"{}", -1)
    assert exchange.on_gone is None
    assert rpc.on_gone is None


def test_a_request_id_of_the_client_comes_back_on_success_too() -> None:
    answer = gateway().post(INFER, v2(), x_request_id="mine")
    assert answer.headers == {b"x-request-id": b"mine"}


def test_the_memo_of_grpc_names_knows_versions_and_removals() -> None:
    served = gateway()
    for version in ("", "1", "", "2", "3", ""):
        rpc = served.infer(proto("digits", version).SerializeToString())
        assert rpc.code == (5 if version == "3" else 0)
    assert [len(each.dispatch.calls) for each in served.models.versions("digits")] == [1, 4]
    served.models.handles.clear()
    assert served.infer(proto("digits").SerializeToString()).code == 5


def test_names_of_models_that_do_not_exist_are_not_remembered() -> None:
    served = gateway()
    for number in range(100):
        served.infer(proto(f"ghost-{number}").SerializeToString())
        served.post(f"/v2/models/ghost-{number}/infer", v2())
    endpoint = served.application.rpc[b"/inference.GRPCInferenceService/ModelInfer"].handle  # type: ignore[union-attr]
    assert endpoint._known == {}
    assert served.application.http._hot == {}
    assert served.refused() == {"not_found": 200}


def test_hot_targets_are_bounded_and_follow_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.serving.gateway.routes.HOT", 2)
    served = gateway()
    targets = ["/v2/models/iris/infer", "/v2/models/digits/infer", "/v2/models/digits/versions/1/infer"]
    for target in [*targets, *targets]:
        assert served.post(target, v2()).status == 200
        assert served.post(target + "?a=1", v2()).status == 200
        assert len(served.application.http._hot) <= 2
    served.post(targets[0], v2())
    replaced = handle("iris")
    served.models.handles[0] = replaced
    assert served.post(targets[0], v2()).status == 200
    assert len(replaced.dispatch.calls) == 1
    del served.models.handles[0]
    answer = served.post(targets[0], v2())
    assert answer.status == 404


def test_only_post_infers() -> None:
    served = gateway()
    assert served.post(INFER, v2()).status == 200
    exchange = FakeExchange("GET", INFER)
    served.application.http(exchange)
    assert (exchange.answer.status, exchange.answer.headers[b"allow"]) == (405, b"POST")
