"""The batch engine: every item gets exactly its own answer, whatever its neighbours are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Format
from shoal.core.clock import ManualClock
from shoal.core.errors import DeadlineExceeded, InvalidInput, ModelContract, ModelError, ShoalError
from shoal.core.types import InferenceRequest, ItemError, RequestedOutput, Tensor, TensorSpec
from shoal.core.wire import predict_all, v2_binary, v2_json, v2_proto
from shoal.serving.worker import batch
from support.worker import Body, TextModel, TypedModel, ask, spec

BAD = 13.0
ROW = TensorSpec("x", "FP32", (-1, -1))


def oracle(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Twice the input; raises on a 13, flags a 17 as failed."""
    x = inputs["x"]
    if (x == BAD).any():
        raise ValueError("unlucky")
    errors = {row: ItemError("flagged") for row in range(len(x)) if (x[row] == 17).any()}
    return {"y": x * 2, "n": np.full(len(x), x.shape[1], dtype=np.int64), **({"errors": errors} if errors else {})}


def tensor(values: Any, datatype: str = "FP32", name: str = "x") -> InferenceRequest:
    array = np.asarray(values)
    return InferenceRequest([Tensor(name, list(array.shape), datatype, array)])


def as_json(request: InferenceRequest) -> Body:
    return Format.V2_JSON, v2_json.encode_request(request), -1


def as_binary(request: InferenceRequest) -> Body:
    return Format.V2_JSON, *v2_binary.encode_request(request)


def as_raw(request: InferenceRequest) -> Body:
    return Format.V2_PROTO, v2_proto.encode_request(request), -1


def as_typed(request: InferenceRequest) -> Body:
    return Format.V2_PROTO, v2_proto.encode_request(request, raw=False), -1


def as_v1(request: InferenceRequest) -> Body:
    return Format.V1_JSON, json.dumps({"instances": request.inputs[0].data.astype(float).tolist()}).encode(), -1


def read(body: Body, answer: bytes) -> Any:
    """The output `y` of an answer in the format of its request."""
    form, _, json_length = body
    if form is Format.V1_JSON:
        return np.array([row["y"] for row in json.loads(answer)["predictions"]])
    if form is Format.V2_PROTO:
        return v2_proto.decode_response(answer).outputs[0].data
    if json_length < 0:
        return v2_json.decode_response(answer).outputs[0].data
    end = len(msgspec.json.encode(json.JSONDecoder().raw_decode(answer.decode("latin-1"))[0]))
    return v2_binary.decode_response(answer, end).outputs[0].data


WAYS = (as_json, as_binary, as_raw, as_typed, as_v1)
KINDS = ("good", "raises", "flagged", "malformed", "misfit", "nan", "late")


@st.composite
def entries(draw: st.DrawFn) -> tuple[str, Body, Any]:
    kind = draw(st.sampled_from(KINDS + ("good",) * 5))
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    values = np.array(
        draw(st.lists(st.integers(20, 99), min_size=rows * width, max_size=rows * width)), dtype=np.float32
    )
    values = values.reshape(rows, width)
    way = draw(st.sampled_from(WAYS))
    if kind in ("raises", "flagged"):
        values[draw(st.integers(0, rows - 1)), 0] = BAD if kind == "raises" else 17
    if kind == "nan":
        values[0, 0] = np.nan
        way = draw(st.sampled_from((as_binary, as_raw, as_typed)))
    body = way(tensor(values, name=draw(st.sampled_from(("x", "other")))))
    if kind == "malformed":
        body = (body[0], body[1][:-1] + b"\xff\xff", body[2])
    if kind == "misfit":
        body = as_json(tensor(values[0]))
    return kind, body, values


@given(st.lists(entries(), min_size=1, max_size=12), st.integers(1, 16), st.booleans())
def test_each_gets_its_own_answer(sent: list[tuple[str, Body, Any]], max_size: int, batchable: bool) -> None:
    clock = ManualClock(100)
    model = TypedModel(oracle, inputs=[ROW])
    deadlines = [99.0 if kind == "late" else 101.0 for kind, _, _ in sent]
    answers, done = ask(
        model, [body for _, body, _ in sent], max_size=max_size, batchable=batchable, deadlines=deadlines, clock=clock
    )
    assert len(answers) == len(sent)
    assert done.executions == len(model.calls)
    for (kind, body, values), answer in zip(sent, answers, strict=True):
        if kind == "good":
            assert isinstance(answer, bytes), answer
            assert np.array_equal(read(body, answer), values * 2)
        else:
            expected = {"raises": ModelError, "late": DeadlineExceeded}.get(kind, InvalidInput)
            assert isinstance(answer, expected), (kind, answer)
    if batchable:
        assert all(len(call["x"]) <= max_size for call in model.calls)
    assert done.rows == sum(len(values) for kind, _, values in sent if kind not in ("malformed", "misfit", "late"))


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_one_that_raises_costs_its_neighbours_nothing(size: int) -> None:
    rows = np.arange(20, 20 + size, dtype=np.float32).reshape(size, 1)
    for culprit in {0, size // 2, size - 1}:
        values = rows.copy()
        values[culprit] = BAD
        model = TypedModel(oracle, inputs=[ROW])
        answers, done = ask(model, [as_json(tensor(row[None])) for row in values])
        assert [at for at, answer in enumerate(answers) if not isinstance(answer, bytes)] == [culprit]
        error = answers[culprit]
        assert isinstance(error, ModelError)
        assert "ValueError: unlucky" in error.message
        assert done.executions <= 2 * size.bit_length() + 1


def test_bad_input_said_by_the_model_is_the_callers() -> None:
    def picky(inputs: Mapping[str, Any]) -> dict[str, Any]:
        if (inputs["x"] > 5).any():
            raise InvalidInput("too many", field="inputs[0].data")
        return {"y": inputs["x"]}

    answers, _ = ask(TypedModel(picky), [as_json(tensor([[1.0]])), as_json(tensor([[9.0]])), as_json(tensor([[2.0]]))])
    assert [type(answer) for answer in answers] == [bytes, InvalidInput, bytes]


@pytest.mark.parametrize("bad", [2, 5, 16, 63])
def test_many_that_raise_cost_their_neighbours_nothing(bad: int) -> None:
    def picky(inputs: Mapping[str, Any]) -> dict[str, Any]:
        if (inputs["x"] < bad).any():
            raise ValueError("no")
        return {"y": inputs["x"]}

    order = [at * 37 % 64 for at in range(64)]
    answers, done = ask(TypedModel(picky), [as_json(tensor([[float(at)]])) for at in order], max_size=64)
    for at, answer in zip(order, answers, strict=True):
        assert isinstance(answer, ModelError if at < bad else bytes)
    assert done.executions <= 2 * 64


def test_when_the_budget_is_used_up_nobody_is_told_of_anothers_data() -> None:
    def always(inputs: Mapping[str, Any]) -> dict[str, Any]:
        raise ValueError(f"secret {inputs['x'].tolist()}")

    answers, done = ask(TypedModel(always), [as_json(tensor([[float(at)]])) for at in range(512)], max_size=512)
    assert done.executions < 140
    for at, answer in enumerate(answers):
        assert isinstance(answer, ModelError)
        assert "secret" not in answer.message or f"[[{float(at)}]]" in answer.message


def test_the_time_for_culprits_is_bounded() -> None:
    clock = ManualClock()

    def slow(inputs: Mapping[str, Any]) -> dict[str, Any]:
        clock.advance(40)
        raise ValueError

    _, done = ask(TypedModel(slow), [as_json(tensor([[float(at)]])) for at in range(64)], clock=clock)
    assert done.executions == 1


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_number_of_rows_fails_the_whole_batch(change: int) -> None:
    model = TypedModel(lambda inputs: {"y": np.zeros(len(inputs["x"]) + change)})
    answers, done = ask(model, [as_json(tensor([[1.0]])) for _ in range(5)])
    assert all(isinstance(answer, ModelContract) for answer in answers)
    assert done.executions == 1
    texts = TextModel(lambda inputs: ["a"] * (len(inputs) + change))
    answers, _ = ask(texts, [(Format.PREDICT_ALL, predict_all.encode_request(["a"]), -1)] * 5)
    assert all(isinstance(answer, ModelContract) and "5 inputs" in answer.message for answer in answers)


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        {"y": 5},
        {"y": np.zeros(1, dtype=complex)},
        {"y": np.zeros(1)},
        {"y": ["a"]},
        {"y": [[1], [1, 2]]},
        {"errors": 1},
    ],
)
def test_answers_that_break_the_contract(result: Any) -> None:
    model = TypedModel(lambda inputs: result, outputs=[TensorSpec("y", "INT64", (-1,))])
    (answer,), _ = ask(model, [as_json(tensor([[1.0]]))])
    assert isinstance(answer, ModelContract)


def test_different_shapes_and_dtypes_are_never_mixed() -> None:
    model = TypedModel(lambda inputs: {"y": inputs["x"]})
    sent = [
        tensor([[1.0, 2.0]]), tensor([[1.0]]), tensor([[1, 2]], "INT64"), tensor([[3.0, 4.0]]), tensor([[1.0, 2.0]], "FP64"),
        tensor([["a", "b"]], "BYTES"), tensor([[5, 6]], "INT64"),
    ]  # fmt: skip
    answers, done = ask(model, [as_json(each) for each in sent])
    assert done.executions == 5
    for each, answer in zip(sent, answers, strict=True):
        assert isinstance(answer, bytes)
        assert np.array_equal(v2_json.decode_response(answer).outputs[0].data, each.inputs[0].as_numpy())
    assert all(len({array.dtype for array in call.values()}) == 1 for call in model.calls)


def test_the_adapter_gets_what_its_signature_says() -> None:
    specs = [TensorSpec("a", "FP32", (-1, 2)), TensorSpec("b", "INT32", (-1,))]
    model = TypedModel(lambda inputs: {"y": inputs["b"]}, inputs=specs)

    def send(*inputs: Tensor, outputs: list[RequestedOutput] | None = None) -> bytes | ShoalError:
        return ask(model, [as_json(InferenceRequest(list(inputs), outputs=outputs))])[0][0]

    a, b = Tensor("a", [1, 2], "FP64", [[1.0, 2.0]]), Tensor("b", [1], "INT64", [5])
    assert isinstance(send(b, a), bytes)
    assert {name: array.dtype.name for name, array in model.calls[-1].items()} == {"a": "float32", "b": "int32"}
    assert all(array.flags.carray for array in model.calls[-1].values())
    assert isinstance(send(Tensor("a", [1, 2], "INT8", [[1, 2]]), b), bytes)

    def field(answer: bytes | ShoalError) -> str:
        assert isinstance(answer, InvalidInput)
        return answer.field

    assert field(send(a)) == "inputs"
    assert field(send(a, b, Tensor("c", [1], "INT64", [5]))) == "inputs[2].name"
    assert field(send(a, Tensor("b", [1], "INT64", [2**40]))) == "inputs[1].data"
    assert field(send(a, Tensor("b", [1], "FP32", [1.0]))) == "inputs[1].datatype"
    assert field(send(Tensor("a", [1, 3], "FP32", [[1.0, 2.0, 3.0]]), b)) == "inputs[0].shape"
    assert field(send(Tensor("a", [2], "FP32", [1.0, 2.0]), b)) == "inputs[0].shape"
    assert field(send(a, Tensor("b", [2], "INT32", [1, 2]))) == "inputs[1].shape[0]"
    assert field(send(Tensor("a", [1, 2], "FP64", [[1e300, 2.0]]), b)) == "inputs[0].data"
    assert field(send(a, b, outputs=[RequestedOutput("z")])) == "outputs[0].name"


def test_only_the_requested_outputs_in_their_order() -> None:
    wanted = [RequestedOutput("n"), RequestedOutput("y", {"binary_data": True})]
    for names in (["n"], ["n", "y"], None):
        request = tensor([[3.0]])
        request.outputs = None if names is None else [each for each in wanted if each.name in names]
        request.id = "é"
        (answer,), done = ask(TypedModel(oracle), [as_json(request)])
        assert isinstance(answer, bytes)
        length = done.json_lengths[0]
        got = v2_json.decode_response(answer) if length < 0 else v2_binary.decode_response(answer, length)
        assert [each.name for each in got.outputs] == (names or ["y", "n"])
        assert (length > 0) == (names == ["n", "y"])
        assert (got.id, got.model_name, got.model_version) == ("é", "m", None)
        (answer,), _ = ask(TypedModel(oracle, spec(version="3")), [as_raw(request)])
        assert isinstance(answer, bytes)
        response = v2_proto.decode_response(answer)
        assert (response.id, response.model_version) == ("é", "3")
        assert [each.name for each in response.outputs] == (names or ["y", "n"])


def test_numbers_that_are_not_finite() -> None:
    def logarithm(inputs: Mapping[str, Any]) -> dict[str, Any]:
        with np.errstate(all="ignore"):
            return {"y": np.log(inputs["x"])}

    for way in WAYS:
        fine, broken = ask(TypedModel(logarithm, inputs=[ROW]), [way(tensor([[1.0]])), way(tensor([[0.0]]))])[0]
        assert isinstance(fine, bytes)
        assert isinstance(broken, ModelContract)
        assert "'y'" in broken.message
    allowed = TypedModel(logarithm, spec(allow_nonfinite=True), inputs=[ROW])
    answers, _ = ask(allowed, [as_json(tensor([[0.0, -1.0, 1.0]])), as_v1(tensor([[0.0]])), as_raw(tensor([[0.0]]))])
    assert isinstance(answers[0], bytes)
    assert b'["-Infinity","NaN",0.0]' in answers[0]
    assert answers[1] == b'{"predictions":[["-Infinity"]]}'
    assert isinstance(answers[2], bytes)
    assert v2_proto.decode_response(answers[2]).outputs[0].data.tolist() == [[-np.inf]]
    (echo,), _ = ask(allowed, [as_raw(tensor([[np.nan]]))])
    assert isinstance(echo, bytes)


def test_all_formats_carry_the_same_numbers_bit_for_bit() -> None:
    values = np.random.default_rng(3).standard_normal((3, 4)).astype(np.float32)
    bodies = [way(tensor(values)) for way in WAYS[:4]]
    answers, _ = ask(TypedModel(oracle, inputs=[ROW]), bodies)
    for body, answer in zip(bodies, answers, strict=True):
        assert isinstance(answer, bytes)
        assert read(body, answer).astype(np.float32).tobytes() == (values * 2).tobytes()


def test_fp16_answers_are_widened_where_they_have_no_form() -> None:
    half = np.array([[0.1, 65504.0]], dtype=np.float16)
    model = TypedModel(lambda inputs: {"y": half}, outputs=[TensorSpec("y", "FP16", (-1, 2))])
    for way, datatype in ((as_json, "FP32"), (as_typed, "FP32"), (as_raw, "FP16"), (as_binary, "FP16")):
        body = way(tensor([[1.0]]))
        (answer,), _ = ask(model, [body])
        assert isinstance(answer, bytes)
        assert datatype.encode() in answer
        assert np.array_equal(read(body, answer).astype(np.float16), half)


def test_a_large_request_runs_in_parts() -> None:
    values = np.arange(100, 201, dtype=np.float32).reshape(101, 1)
    model = TypedModel(oracle, inputs=[ROW])
    answers, done = ask(model, [as_raw(tensor(values)), as_json(tensor(values[:3]))], max_size=16)
    assert done.executions == 8
    assert isinstance(answers[0], bytes)
    assert np.array_equal(v2_proto.decode_response(answers[0]).outputs[0].data, values * 2)


def test_a_bad_row_of_many_is_named() -> None:
    values = np.arange(20, 120, dtype=np.float32).reshape(100, 1)
    values[37] = BAD
    (answer,), _ = ask(TypedModel(oracle, inputs=[ROW]), [as_json(tensor(values))], max_size=16)
    assert isinstance(answer, ModelError)
    assert answer.message.startswith("row 37: ")
    values[37] = 17
    (answer,), _ = ask(TypedModel(oracle, inputs=[ROW]), [as_json(tensor(values))], max_size=16)
    assert isinstance(answer, InvalidInput)
    assert (answer.message, answer.field) == ("row 37: flagged", "inputs[0].data[37]")


def test_those_whose_time_ends_before_their_part_are_not_started() -> None:
    clock = ManualClock(0)

    def slow(inputs: Mapping[str, Any]) -> dict[str, Any]:
        clock.advance(5)
        return {"y": inputs["x"]}

    model = TypedModel(slow)
    bodies = [as_json(tensor([[float(at)]])) for at in range(4)]
    answers, _ = ask(model, bodies, max_size=2, deadlines=[9, 9, 4, 9], clock=clock)
    assert [type(answer) for answer in answers] == [bytes, bytes, DeadlineExceeded, bytes]
    assert [call["x"].ravel().tolist() for call in model.calls] == [[0.0, 1.0], [3.0]]


def test_raw_mode() -> None:
    model = TypedModel(oracle, inputs=[TensorSpec("x", "FP32", (-1, 2))])
    answers, done = ask(
        model, [(Format.V2_JSON, np.array([1, 2], np.float32).tobytes(), 0), (Format.V2_JSON, b"12", 0)]
    )
    assert isinstance(answers[0], bytes)
    assert v2_binary.decode_response(answers[0], done.json_lengths[0]).outputs[0].data.tolist() == [[2.0, 4.0]]
    assert isinstance(answers[1], InvalidInput)


def test_answers_that_are_too_large_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_PAYLOAD", 400)
    answers, _ = ask(TypedModel(oracle), [as_json(tensor([[float(at)]])) for at in range(5)])
    assert [type(answer) for answer in answers] == [bytes, bytes, ModelError, ModelError, ModelError]


def test_requests_that_differ_in_their_ids_get_their_own_back() -> None:
    plain = as_json(tensor([[1.0, 2.0]]))[1]
    bodies: list[Body] = [(Format.V2_JSON, b'{"id":"%d",' % at + plain[1:], -1) for at in range(3)]
    answers, _ = ask(TypedModel(oracle, inputs=[ROW]), [*bodies, (Format.V2_JSON, plain, -1)])
    assert [json.loads(answer).get("id") for answer in answers if isinstance(answer, bytes)] == ["0", "1", "2", None]
