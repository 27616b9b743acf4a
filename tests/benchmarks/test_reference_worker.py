from __future__ import annotations

import json

import numpy as np

from benchmarks import models
from benchmarks.reference_worker import run
from shoal.core._generated import shoal_inference_pb2 as messages


def test_a_mixed_batch_is_predicted_once_and_answered_in_order() -> None:
    calls: list[int] = []

    def predict(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return rows[:, :1] * 2

    row = np.array([[1.5, 0, 0, 0]], "f4")
    json_body = b"J" + json.dumps(models.v2_json(row, row.ravel().tolist())).encode()
    grpc_body = b"P" + models.infer_request("iris", np.repeat(row * 2, 2, axis=0), raw=True)
    answers = run([json_body, grpc_body], predict)
    assert calls == [3]
    assert json.loads(answers[0])["outputs"] == [{"name": "y", "shape": [1, 1], "datatype": "FP32", "data": [3.0]}]
    response = messages.ModelInferResponse.FromString(answers[1])
    assert np.frombuffer(response.raw_output_contents[0], "f4").tolist() == [6.0, 6.0]
