"""Clients that others wrote, against a node with real models."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import grpc
import joblib
import numpy as np
import pytest
import requests
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from sklearn import datasets

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.testing.node import RunningNode
from support.tools import needs
from support.triton import GrpcClient, HttpClient

pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ROWS = datasets.load_iris().data[::30].astype(np.float64)


@pytest.fixture(scope="module")
def expected(demo_models: Path) -> list[int]:
    return [int(label) for label in joblib.load(demo_models / "iris.joblib").predict(ROWS)]


def iris_request() -> dict[str, object]:
    data = ROWS.ravel().tolist()
    return {"id": "abc", "inputs": [{"name": "x", "shape": list(ROWS.shape), "datatype": "FP64", "data": data}]}


def test_requests_gets_the_models_own_answer(node: RunningNode, expected: list[int]) -> None:
    answer = requests.post(f"{node.url}/v2/models/iris/infer", json=iris_request(), timeout=10)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["model_name"], body["id"]) == ("iris", "abc")
    assert body["outputs"][0]["data"] == expected


def test_v1_gets_the_same(node: RunningNode, expected: list[int]) -> None:
    answer = requests.post(f"{node.url}/v1/models/iris:predict", json={"instances": ROWS.tolist()}, timeout=10)
    assert answer.json()["predictions"] == expected


def test_curl_gets_the_same_over_both_http_versions(node: RunningNode, expected: list[int]) -> None:
    needs("curl")
    for version in ("--http1.1", "--http2-prior-knowledge"):
        command = ["curl", "-sS", version, f"{node.url}/v2/models/iris/infer", "-d", json.dumps(iris_request())]
        answer = subprocess.run(command, check=True, capture_output=True, timeout=10)
        assert json.loads(answer.stdout)["outputs"][0]["data"] == expected


def test_triton_http_client(node: RunningNode, expected: list[int]) -> None:
    client = HttpClient(node.url.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("iris")
        assert client.get_model_metadata("iris")["name"] == "iris"
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        for binary in (True, False):
            tensor = triton_http.InferInput("x", list(ROWS.shape), "FP64")
            tensor.set_data_from_numpy(ROWS, binary_data=binary)
            name = client.get_model_metadata("iris")["outputs"][0]["name"]
            wanted = triton_http.InferRequestedOutput(name, binary_data=binary)
            assert client.infer("iris", [tensor], outputs=[wanted]).as_numpy(name).tolist() == expected
        assert {model["name"] for model in client.get_model_repository_index()} >= {"iris", "digits", "shout"}
        assert client.get_inference_statistics("iris")["model_stats"][0]["inference_count"] >= len(ROWS)
    finally:
        client.close()


def test_triton_grpc_client(node: RunningNode, expected: list[int]) -> None:
    client = GrpcClient(node.url.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("iris")
        tensor = triton_grpc.InferInput("x", list(ROWS.shape), "FP64")
        tensor.set_data_from_numpy(ROWS)
        name = client.get_model_metadata("iris").outputs[0].name
        assert client.infer("iris", [tensor]).as_numpy(name).tolist() == expected
        client.unload_model("diabetes")
        assert not client.is_model_ready("diabetes")
        client.load_model("diabetes")
        assert client.is_model_ready("diabetes")
        assert client.get_inference_statistics("iris").model_stats[0].name == "iris"
    finally:
        client.close()


def test_grpcio_with_typed_contents(node: RunningNode, expected: list[int]) -> None:
    request = pb.ModelInferRequest(model_name="iris", id="7")
    tensor = request.inputs.add(name="x", datatype="FP64", shape=ROWS.shape)
    tensor.contents.fp64_contents.extend(ROWS.ravel())
    with grpc.insecure_channel(node.url.removeprefix("http://")) as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        answer = call(request, timeout=10)
    assert answer.id == "7"
    assert list(answer.outputs[0].contents.int64_contents) == expected


def test_text_reaches_the_model_byte_for_byte_both_ways(node: RunningNode) -> None:
    texts = ["", "straße", "漢字かな", "🐟🐠", "x" * 1_000_000, '<a b="1"/>', "QUJD"]
    wanted = [text.upper() + "!" for text in texts]
    rest = requests.post(f"{node.url}/v2/models/shout/predict_all", json={"inputs": texts}, timeout=10)
    assert rest.json() == {"outputs": wanted}
    client = GrpcClient(node.url.removeprefix("http://"))
    try:
        tensor = triton_grpc.InferInput("text", [len(texts)], "BYTES")
        tensor.set_data_from_numpy(np.array([text.encode() for text in texts], dtype=np.object_))
        name = client.get_model_metadata("shout").outputs[0].name
        answer = client.infer("shout", [tensor]).as_numpy(name)
    finally:
        client.close()
    assert [each.decode() for each in answer] == wanted


def test_h2load_and_nghttp(node: RunningNode) -> None:
    needs("nghttp")
    needs("h2load")
    seen = subprocess.run(["nghttp", "-v", f"{node.url}/v2/health/ready"], check=True, capture_output=True, timeout=10)
    assert b":status: 200" in seen.stdout
    load = ["h2load", "-n200", "-c4", "-m8", f"{node.url}/v2/models/iris"]
    seen = subprocess.run(load, check=True, capture_output=True, timeout=20)
    assert b"200 succeeded, 0 failed" in seen.stdout


def test_a_browser_shows_the_docs_page(node: RunningNode, tmp_path: Path) -> None:
    needs("chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}"]
    page = f"{node.url}/v2/models/iris/docs"
    command = [shutil.which("chromium") or "", *flags, "--virtual-time-budget=8000", "--dump-dom", page]
    seen = subprocess.run(command, capture_output=True, timeout=50, check=True).stdout.decode()
    assert "/v2/models/iris/infer" in seen
    assert "opblock" in seen, "Swagger UI has not drawn the operations"
