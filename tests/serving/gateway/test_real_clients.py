"""Clients of others against the application over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from shoal.core.model import ModelState
from shoal.serving.gateway.exchange import WireLimits
from shoal.serving.gateway.sockets.listener import Listener
from support.gateway_fakes import Gateway, default_handles, handle
from support.triton import GrpcClient, HttpClient


class Running:
    """The application on a port of its own, in a thread of its own."""

    def __init__(self) -> None:
        self.gateway = Gateway(*default_handles(), handle("broken", state=ModelState.UNAVAILABLE, reason="no file"))
        self.address = ""
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._main()), name="gateway")
        self._thread.start()
        assert self._started.wait(10)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        application = self.gateway.application
        limits = WireLimits()
        listener = Listener(host="127.0.0.1", port=0, http=application.http, rpc=application.rpc, limits=limits)
        await listener.start()
        self.address = f"127.0.0.1:{listener.port}"
        self._started.set()
        await self._stop.wait()
        await application.close()
        await listener.stop(0.5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


@pytest.mark.parametrize(("make", "kind"), [(HttpClient, tritonclient.http), (GrpcClient, tritonclient.grpc)])
def test_triton_clients_find_all_they_ask_for(make: type, kind: object, running: Running) -> None:
    client = make(running.address)
    as_json = {} if kind is tritonclient.http else {"as_json": True}
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("iris")
        assert not client.is_model_ready("broken")
        assert client.get_model_metadata("digits", "2", **as_json)["versions"] == ["1", "2"]
        config = client.get_model_config("iris", **as_json)
        assert config.get("config", config)["max_batch_size"] == 8
        stats = client.get_inference_statistics("iris", **as_json)["model_stats"][0]
        assert int(stats["inference_count"]) == 3
        client.unload_model("shout")
        assert not client.is_model_ready("shout")
        client.load_model("shout")
        assert client.is_model_ready("shout")
        tensor = kind.InferInput("input-0", [2, 4], "FP32")  # type: ignore[attr-defined]
        sent = np.arange(8, dtype=np.float32).reshape(2, 4)
        tensor.set_data_from_numpy(sent)
        got = client.infer("iris", [tensor], priority=1, timeout=1_000_000).as_numpy("input-0")
        np.testing.assert_array_equal(got, sent)
        with pytest.raises(Exception, match="there is no model 'irs'"):
            client.infer("irs", [tensor])
    finally:
        client.close()


def test_health_and_reflection_clients(running: Running) -> None:
    with grpc.insecure_channel(running.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        broken = health.Check(health_pb2.HealthCheckRequest(service="broken"))
        assert broken.status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="nothing"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest(service="iris"))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        assert database.FindFileContainingSymbol("inference.GRPCInferenceService").package == "inference"
