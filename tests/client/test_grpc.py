"""The client in gRPC mode against a server that others wrote."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import pytest

from shoal.client import AsyncClient, Client, Tensor
from shoal.client.grpc import GrpcDialect
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import DeadlineExceeded, InvalidInput, NotFound, Unsupported
from shoal.core.types import TensorSpec

SERVICE = "inference.GRPCInferenceService"


class Echo:
    """Answers each input under its own name."""

    def __init__(self) -> None:
        self.slow = threading.Event()
        self.left: list[float] = []

    def infer(self, request: pb.ModelInferRequest, context: grpc.ServicerContext) -> pb.ModelInferResponse:
        self.left.append(context.time_remaining())
        if request.model_name == "missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no model 'missing', wörd")
        if request.model_name == "slow":
            self.slow.wait(5)
        answer = pb.ModelInferResponse(model_name=request.model_name, model_version="3", id=request.id)
        for tensor in request.inputs:
            answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape, contents=tensor.contents)
        answer.raw_output_contents.extend(request.raw_input_contents)
        return answer

    def metadata(self, request: Any, context: grpc.ServicerContext) -> pb.ModelMetadataResponse:
        answer = pb.ModelMetadataResponse(name=request.name, versions=["3"], platform="echo")
        answer.inputs.add(name="x", datatype="FP32", shape=[-1, 2])
        return answer

    def index(self, request: Any, context: grpc.ServicerContext) -> pb.RepositoryIndexResponse:
        answer = pb.RepositoryIndexResponse()
        answer.models.add(name="echo", version="3", state="READY")
        return answer

    def statistics(self, request: Any, context: grpc.ServicerContext) -> pb.ModelStatisticsResponse:
        answer = pb.ModelStatisticsResponse()
        one = answer.model_stats.add(name=request.name, version="3", inference_count=2**40)
        one.inference_stats.success.count = 5
        one.batch_stats.add(batch_size=4)
        return answer

    def methods(self) -> dict[str, grpc.RpcMethodHandler]:
        handlers = {
            "ModelInfer": (self.infer, pb.ModelInferRequest, pb.ModelInferResponse),
            "ModelMetadata": (self.metadata, pb.ModelMetadataRequest, pb.ModelMetadataResponse),
            "RepositoryIndex": (self.index, pb.RepositoryIndexRequest, pb.RepositoryIndexResponse),
            "ModelStatistics": (self.statistics, pb.ModelStatisticsRequest, pb.ModelStatisticsResponse),
            "ServerLive": (lambda *_: pb.ServerLiveResponse(live=True), pb.ServerLiveRequest, pb.ServerLiveResponse),
            "ModelReady": (lambda *_: pb.ModelReadyResponse(ready=False), pb.ModelReadyRequest, pb.ModelReadyResponse),
        }
        return {
            name: grpc.unary_unary_rpc_method_handler(
                handle, request_deserializer=asks.FromString, response_serializer=answers.SerializeToString
            )
            for name, (handle, asks, answers) in handlers.items()
        }


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def url(echo: Echo) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, echo.methods()),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    echo.slow.set()
    server.stop(0).wait()


@pytest.mark.parametrize("binary", [True, False])
def test_tensors_come_back(url: str, binary: bool) -> None:
    arrays = {
        "f": np.array([[1.5, -2.0]], dtype=np.float32),
        "i": np.array([2**62], dtype=np.int64),
        "t": np.array(["hällo", ""], dtype=object),
        "b": np.array([True, False]),
    }
    with Client(url, protocol="grpc") as client:
        response = client.infer("echo", arrays, id="abc", parameters={"priority": 1}, binary=binary)
    assert (response.model_name, response.model_version, response.id) == ("echo", "3", "abc")
    back = {output.name: output.as_numpy() for output in response.outputs}
    assert back["f"].tolist() == [[1.5, -2.0]]
    assert back["i"].tolist() == [2**62]
    assert back["t"].tolist() == ["hällo".encode(), b""]
    assert back["b"].tolist() == [True, False]


def test_large_tensors_pass_the_windows_both_ways(url: str) -> None:
    array = np.random.default_rng(1).random((500, 500)).astype(np.float32)
    with Client(url, protocol="grpc") as client:
        assert np.array_equal(client.predict("echo", {"x": array}), array)


def test_the_signature_shapes_what_is_sent(url: str) -> None:
    with Client(url, protocol="grpc") as client:
        answer = client.predict("echo", [[1, 2], [3, 4]])
    assert isinstance(answer, np.ndarray)
    assert (answer.dtype, answer.tolist()) == (np.float32, [[1.0, 2.0], [3.0, 4.0]])


def test_strings_in_strings_out(url: str) -> None:
    with Client(url, protocol="grpc") as client:
        assert client.predict_all("echo", ["a", "ü"]) == ["a", "ü"]


def test_what_the_server_tells(url: str) -> None:
    with Client(url, protocol="grpc") as client:
        assert client.live()
        assert not client.ready("echo")
        metadata = client.metadata("echo")
        assert (metadata.versions, metadata.platform) == (("3",), "echo")
        assert metadata.signature.inputs == (TensorSpec("x", "FP32", (-1, 2)),)
        assert [(each.name, each.state) for each in client.models()] == [("echo", "READY")]
        [record] = client.statistics("echo")
        assert (record["inference_count"], record["inference_stats"]["success"]["count"]) == (2**40, 5)
        assert record["batch_stats"][0]["batch_size"] == 4


def test_errors_come_back_in_words(url: str) -> None:
    with Client(url, protocol="grpc", retries=0) as client:
        with pytest.raises(NotFound, match="there is no model 'missing', wörd"):
            client.infer("missing", [Tensor("x", [1], "INT8", [1])])
        with pytest.raises(Unsupported):
            client.unload("echo")
        with pytest.raises(InvalidInput, match="no typed contents"):
            client.infer("echo", [Tensor("x", [1], "FP16", [1.0])], binary=False)


def test_the_deadline_travels_and_ends_the_call(url: str, echo: Echo) -> None:
    with Client(url, protocol="grpc") as client:
        client.infer("echo", [Tensor("x", [1], "INT8", [1])], timeout=7.0)
        assert 6.0 < echo.left[-1] <= 7.0
        with pytest.raises(DeadlineExceeded):
            client.infer("slow", [Tensor("x", [1], "INT8", [1])], timeout=0.1)


@pytest.mark.parametrize(
    ("seconds", "value"),
    [(10.0, b"10000000u"), (9.99998, b"10000000u"), (0.0499123, b"50000000n"), (61.234, b"61300000u")],
)
def test_deadlines_are_told_in_steps_so_that_headers_repeat(seconds: float, value: bytes) -> None:
    assert GrpcDialect().headers(seconds) == ((b"grpc-timeout", value),)


def test_many_calls_at_once(url: str) -> None:
    async def scenario() -> None:
        async with AsyncClient(url, protocol="grpc") as client:
            one = [Tensor("x", [1], "INT8", [1])]
            responses = await asyncio.gather(*(client.infer("echo", one, id=str(number)) for number in range(200)))
            assert [response.id for response in responses] == [str(number) for number in range(200)]

    asyncio.run(scenario())
