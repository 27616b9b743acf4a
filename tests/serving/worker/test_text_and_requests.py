"""Models of strings, and models of whole requests."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Format
from shoal.core.errors import InvalidInput, ModelContract, ModelError
from shoal.core.types import InferenceRequest, InferenceResponse, ItemError, RequestedOutput, ResponseOutput, Tensor
from shoal.core.wire import predict_all, v2_binary, v2_json, v2_proto
from support.worker import Body, RequestModel, TextModel, TypedModel, ask


def strings(*inputs: str) -> Body:
    return Format.PREDICT_ALL, predict_all.encode_request(list(inputs)), -1


def request(*inputs: str | bytes, shape: list[int] | None = None) -> InferenceRequest:
    return InferenceRequest([Tensor("any", shape or [len(inputs)], "BYTES", list(inputs))])


PAYLOADS = [
    "", '{"a": [1, {"b": "c:d"}]}', "<a b='c'>&amp;</a>", base64.b64encode(bytes(range(256))).decode(), "日本語", "🐟", "x" * 2**20, "\x00\n",
]  # fmt: skip


@pytest.mark.parametrize("way", ["predict_all", "json", "binary", "raw", "typed"])
def test_any_payload_arrives_and_returns_byte_by_byte(way: str) -> None:
    model = TextModel(lambda inputs: inputs)
    bodies: dict[str, Any] = {
        "predict_all": lambda: strings(*PAYLOADS),
        "json": lambda: (Format.V2_JSON, v2_json.encode_request(request(*PAYLOADS)), -1),
        "binary": lambda: (Format.V2_JSON, *v2_binary.encode_request(request(*PAYLOADS))),
        "raw": lambda: (Format.V2_PROTO, v2_proto.encode_request(request(*PAYLOADS)), -1),
        "typed": lambda: (Format.V2_PROTO, v2_proto.encode_request(request(*PAYLOADS), raw=False), -1),
    }
    (answer,), done = ask(model, [bodies[way]()])
    assert model.calls == [PAYLOADS]
    assert isinstance(answer, bytes)
    if way == "predict_all":
        assert predict_all.decode_response(answer) == (PAYLOADS, {})
        return
    decoded = {
        "json": lambda: v2_json.decode_response(answer),
        "binary": lambda: v2_binary.decode_response(answer, done.json_lengths[0]),
    }.get(way, lambda: v2_proto.decode_response(answer))()
    assert decoded.outputs[0].name == "output"
    assert decoded.outputs[0].data.tolist() == [text.encode() for text in PAYLOADS]


def test_calls_of_a_batch_are_one_call_of_the_adapter() -> None:
    model = TextModel(lambda inputs: [text.upper() for text in inputs])
    answers, done = ask(model, [strings("a"), strings("b", "c"), strings("d")])
    assert model.calls == [["a", "b", "c", "d"]]
    assert done.executions == 1
    assert [predict_all.decode_response(answer)[0] for answer in answers if isinstance(answer, bytes)] == [
        ["A"],
        ["B", "C"],
        ["D"],
    ]


@given(
    st.lists(st.lists(st.sampled_from(["ok", "raise", "flag"]), min_size=1, max_size=3), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_bad_strings_fail_alone(batch: list[list[str]], max_size: int) -> None:
    def predict(inputs: list[str]) -> list[str | ItemError]:
        if "raise" in inputs:
            raise RuntimeError("no")
        return [ItemError("flagged") if text == "flag" else text for text in inputs]

    answers, _ = ask(TextModel(predict), [strings(*texts) for texts in batch], max_size=max_size)
    for texts, answer in zip(batch, answers, strict=True):
        good = [text if text == "ok" else None for text in texts]
        if not any(good):
            assert isinstance(answer, ModelError if texts[0] == "raise" else InvalidInput)
        else:
            assert isinstance(answer, bytes)
            outputs, errors = predict_all.decode_response(answer)
            assert outputs == good
            assert {int(row) for row in errors} == {row for row, text in enumerate(good) if text is None}


def test_100_inputs_run_in_parts_and_the_bad_one_is_told_by_index() -> None:
    def predict(inputs: list[str]) -> list[str | ItemError]:
        if "42" in inputs:
            raise ValueError("the answer")
        return list(inputs)

    model = TextModel(predict)
    (answer,), _ = ask(model, [strings(*map(str, range(100)))], max_size=8)
    assert isinstance(answer, bytes)
    outputs, errors = predict_all.decode_response(answer)
    assert outputs == [None if row == 42 else str(row) for row in range(100)]
    assert errors == {"42": "the model failed: ValueError: the answer"}
    assert max(map(len, model.calls)) == 8


def test_what_is_no_text_is_refused() -> None:
    bodies: list[Body] = [
        (Format.V2_JSON, *v2_binary.encode_request(request(b"fine"))),
        (Format.V2_JSON, *v2_binary.encode_request(request(b"a", b"\xff"))),
        (Format.V2_PROTO, v2_proto.encode_request(InferenceRequest([Tensor("x", [1], "FP32", [1.0])])), -1),
        (Format.V2_JSON, v2_json.encode_request(request("a", "b", "c", "d", shape=[2, 2])), -1),
        (Format.V2_JSON, v2_json.encode_request(request("a", shape=[1, 1])), -1),
        (Format.V1_JSON, b'{"instances":["a"]}', -1),
        (Format.V1_JSON, b'{"instances":[1]}', -1),
    ]
    answers, _ = ask(TextModel(lambda inputs: inputs), bodies)
    assert [getattr(answer, "field", "") for answer in answers] == [
        "", "inputs[0].data[1]", "inputs[0].datatype", "inputs[0].shape", "", "", "inputs[0].datatype",
    ]  # fmt: skip
    assert answers[5] == b'{"predictions":["a"]}'


@pytest.mark.parametrize("result", [None, "text", ("a",), [1], [None], [b"a"]])
def test_answers_that_are_no_list_of_strings(result: Any) -> None:
    (answer,), _ = ask(TextModel(lambda inputs: result), [strings("a")])
    assert isinstance(answer, ModelContract)


def test_a_typed_model_of_text_takes_strings_too() -> None:
    def lengths(inputs: dict[str, Any]) -> dict[str, Any]:
        (texts,) = inputs.values()
        return {"n": np.array([len(text) for text in texts.ravel()])}

    answers, _ = ask(TypedModel(lengths), [strings("a", "日")])
    assert answers == [b'{"outputs":["1","3"]}']


def reply(payload: InferenceRequest, **fields: Any) -> InferenceResponse:
    output = {"name": "predict", "shape": [1], "datatype": "BYTES", "data": ["x"], **fields}
    return InferenceResponse([ResponseOutput(**output)], id="made up", model_name="any")


def test_requests_are_awaited_together_and_fail_alone() -> None:
    started: list[str] = []
    everybody = asyncio.Event()

    async def predict(payload: InferenceRequest) -> InferenceResponse:
        text = payload.inputs[0].data[0].decode()
        started.append(text)
        if len(started) == 4:
            everybody.set()
        await everybody.wait()
        if text == "raise":
            raise KeyError("k")
        if text == "cancel":
            raise asyncio.CancelledError
        return reply(payload, data=[text])

    answers, done = ask(RequestModel(predict), [strings("a"), strings("raise"), strings("cancel"), strings("b")])
    assert [type(answer) for answer in answers] == [bytes, ModelError, ModelError, bytes]
    assert answers[3] == b'{"outputs":["b"]}'
    assert done.executions == 4


def test_a_response_gets_the_callers_id_and_the_models_name() -> None:
    body = (Format.V2_JSON, b'{"id":"7","inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}', -1)
    (answer,), _ = ask(RequestModel(reply), [body])
    assert isinstance(answer, bytes)
    got = v2_json.decode_response(answer)
    assert (got.id, got.model_name) == ("7", "m")
    (answer,), _ = ask(RequestModel(reply), [(Format.V2_JSON, body[1].replace(b'"id":"7",', b""), -1)])
    assert isinstance(answer, bytes)
    assert b'"id"' not in answer


def test_what_does_not_fit_its_datatype_is_sent_as_bytes() -> None:
    data = [[{"translation_text": "Bonjour"}]]
    (answer,), _ = ask(RequestModel(lambda payload: reply(payload, datatype="FP32", data=data)), [strings("a")])
    assert isinstance(answer, bytes)
    assert json.loads(predict_all.decode_response(answer)[0][0] or "") == data[0][0]


@pytest.mark.parametrize(
    "fields",
    [{"datatype": "TEXT"}, {"shape": [3]}, {"datatype": "FP32", "data": np.zeros(2)}],
)
def test_responses_that_cannot_be(fields: dict[str, Any]) -> None:
    (answer,), _ = ask(RequestModel(lambda payload: reply(payload, **fields)), [strings("a")])
    assert isinstance(answer, ModelContract), answer


def test_no_response_at_all_and_an_output_that_is_not_there() -> None:
    (answer,), _ = ask(RequestModel(lambda payload: "text"), [strings("a")])
    assert isinstance(answer, ModelContract)
    wanted = request("a")
    wanted.outputs = [RequestedOutput("nothing")]
    (answer,), _ = ask(RequestModel(reply), [(Format.V2_JSON, v2_json.encode_request(wanted), -1)])
    assert isinstance(answer, InvalidInput)
    assert answer.field == "outputs[0].name"
