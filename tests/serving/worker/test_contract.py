"""The check at load: probe, made-up requests, and n rows at once against one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from shoal.core.clock import ManualClock
from shoal.core.errors import InvalidInput, ModelContract, ModelError, ShoalError
from shoal.core.tensors import DTYPES
from shoal.core.types import InferenceResponse, Signature, TensorSpec
from shoal.core.wire import v2_json
from shoal.serving.worker import contract
from shoal.serving.worker.contract import Verdict
from shoal.serving.worker.served import Served
from support.worker import RequestModel, TextModel, TypedModel, spec

ROW = TensorSpec("x", "FP32", (-1, 4))
WARM = '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}'


def examine(adapter: Any) -> Verdict:
    served = Served(adapter.spec, adapter, ManualClock())
    try:
        return contract.examine(served, ManualClock())
    finally:
        served.close()


def row_wise(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"y": inputs["x"].sum(axis=1)}


def normalised(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Batch normalisation left on: a row's answer depends on its neighbours."""
    return {"y": inputs["x"] - inputs["x"].mean(axis=0)}


def one_at_a_time(inputs: Mapping[str, Any]) -> dict[str, Any]:
    if len(inputs["x"]) > 1:
        raise ValueError("one at a time")
    return row_wise(inputs)


def test_a_row_wise_model_may_be_stacked() -> None:
    verdict = examine(TypedModel(row_wise, inputs=[ROW]))
    assert (verdict.batchable, verdict.reason) == (True, "")
    example = v2_json.decode_request(verdict.example.encode()).inputs[0]
    assert (example.name, list(example.shape), example.datatype) == ("x", [1, 4], "FP32")
    assert examine(TypedModel(row_wise, inputs=[ROW])) == verdict


@pytest.mark.parametrize("settings", [{}, {"warmup": (WARM,)}])
@pytest.mark.parametrize(("function", "reason"), [(normalised, "'y'"), (one_at_a_time, "raise")])
def test_a_model_whose_rows_see_each_other_is_not_stacked(function: Any, reason: str, settings: dict[str, Any]) -> None:
    verdict = examine(TypedModel(function, spec(**settings), inputs=[ROW]))
    assert not verdict.batchable
    assert reason in verdict.reason


def test_a_wrong_number_of_rows_at_once() -> None:
    verdict = examine(TypedModel(lambda inputs: {"y": np.zeros(1)}, inputs=[ROW]))
    assert not verdict.batchable
    assert "1 rows for 4 rows" in verdict.reason


def test_the_author_has_the_last_word() -> None:
    assert examine(TypedModel(normalised, spec(batchable=True), inputs=[ROW])).batchable
    verdict = examine(TypedModel(row_wise, spec(batchable=False), inputs=[ROW]))
    assert (verdict.batchable, bool(verdict.reason)) == (False, True)


@pytest.mark.parametrize("specs", [(), (TensorSpec("x", "BYTES", (-1,)),)])
def test_without_anything_to_go_by_only_ready_runtimes_are_trusted(specs: tuple[TensorSpec, ...]) -> None:
    own = examine(TypedModel(row_wise, inputs=specs))
    assert not own.batchable
    assert "warmup" in own.reason
    ready = examine(TypedModel(row_wise, spec(runtime="sklearn"), inputs=specs))
    assert (ready.batchable, ready.reason, ready.example) == (True, "", "")


def test_a_fixed_batch_dimension() -> None:
    model = TypedModel(row_wise, inputs=[TensorSpec("x", "FP32", (1, 4))])
    verdict = examine(model)
    assert not verdict.batchable
    assert "fixed" in verdict.reason


@pytest.mark.parametrize("datatype", [each for each in DTYPES if each != "BYTES"])
def test_requests_of_every_datatype_can_be_made_up(datatype: str) -> None:
    model = TypedModel(lambda inputs: {"y": inputs["x"]}, inputs=[TensorSpec("x", datatype, (-1, 2))])
    verdict = examine(model)
    assert verdict.batchable
    assert json.loads(verdict.example)["inputs"][0]["shape"] == [1, 2]
    assert model.calls[0]["x"].dtype == DTYPES[datatype]


def test_made_up_requests_are_all_different_and_always_the_same() -> None:
    one, two = (list(contract.make_up(Signature((ROW,)), 8)) for _ in range(2))
    arrays = [each.inputs[0].data.tobytes() for each in one]
    assert len(set(arrays)) == len(arrays)
    assert arrays == [each.inputs[0].data.tobytes() for each in two]


def test_other_sizes_are_tried_where_any_is_allowed() -> None:
    def needs_32(inputs: Mapping[str, Any]) -> dict[str, Any]:
        assert inputs["x"].shape[1] == 32
        return row_wise(inputs)

    verdict = examine(TypedModel(needs_32, inputs=[TensorSpec("x", "FP32", (-1, -1))]))
    assert json.loads(verdict.example)["inputs"][0]["shape"] == [1, 32]


def fails(error: Exception) -> Any:
    def function(inputs: Any) -> Any:
        raise error

    return function


def test_a_model_that_raises_is_not_ready() -> None:
    with pytest.raises(ModelError, match=r"made up from its signature fails: .*ValueError: no") as caught:
        examine(TypedModel(fails(ValueError("no")), inputs=[ROW]))
    assert "warmup" in caught.value.hint
    with pytest.raises(ModelError, match="warm-up 0 fails"):
        examine(TypedModel(fails(ValueError("no")), spec(warmup=(WARM,))))
    with pytest.raises(ModelContract):
        examine(TypedModel(lambda inputs: None, inputs=[ROW]))
    with pytest.raises(ShoalError, match="warm-up 1"):
        examine(TypedModel(row_wise, spec(warmup=(WARM, "{}"))))


def test_a_model_that_refuses_made_up_input_may_be_right() -> None:
    verdict = examine(TypedModel(fails(InvalidInput("not a customer")), inputs=[ROW]))
    assert (verdict.batchable, verdict.example) == (False, "")


def test_models_of_strings_and_of_requests() -> None:
    assert examine(TextModel(lambda inputs: inputs)) == Verdict(True, "", "")
    warm = '{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["hello"]}]}'
    model = TextModel(lambda inputs: inputs, spec(warmup=(warm,)))
    assert examine(model) == Verdict(True, "", warm)
    assert ["hello"] in model.calls
    with pytest.raises(ModelContract):
        examine(TextModel(lambda inputs: [], spec(warmup=(warm,))))
    request = RequestModel(lambda payload: InferenceResponse(payload.inputs), spec(warmup=(warm,)))
    assert examine(request).batchable
