"""Many services behind one port: by path, by namespace, by host; over HTTP/1.1 and gRPC; one entry for each."""

from __future__ import annotations

import asyncio
import json

import grpc
import httpx
import pytest

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.model import ModelState
from shoal.monitor.exposition import expose
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.exchange import WireLimits
from shoal.serving.gateway.sockets.listener import Listener
from support.gateway_fakes import FakeRpc, Gateway, handle, proto, v2

DOMAIN = "models.example.org"
INFER = "/inference.GRPCInferenceService/ModelInfer"
MANY = 60
NOT_FOUND = 5


def gateway(*names: str, domain: str = DOMAIN) -> Gateway:
    made = Gateway(*map(handle, names))
    made.application = Application(
        made.models, metrics=made.metrics, expose=lambda tell: tell(*expose(made.metrics)), domain=domain
    )
    return made


def asked(served: Gateway) -> dict[str, int]:
    """How many calls each model got."""
    return {each.spec.name: len(each.dispatch.calls) for each in served.models.handles if each.dispatch.calls}


def test_each_way_to_say_it_reaches_the_same_service() -> None:
    served = gateway("iris", "iris@fraud")
    fraud = "iris.fraud.models.example.org"
    for target, host in [
        ("/v2/models/iris@fraud/infer", "localhost"),
        ("/ns/fraud/v2/models/iris/infer", "localhost"),
        ("/ns/fraud/v2/models/iris/infer", fraud),
        ("/v2/models/iris/infer", fraud),
        ("/infer", fraud),
    ] * 2:
        served.post(target, v2(), host=host)
    assert asked(served) == {"iris@fraud": 10}
    served.post("/ns/fraud/v1/models/iris:predict", json.dumps({"instances": [[1.0, 2.0, 3.0, 4.0]]}), host="localhost")
    served.post("/ns/fraud/v2/models/iris/predict_all", json.dumps({"inputs": ["a"]}), host="localhost")
    assert asked(served) == {"iris@fraud": 12}
    assert served.get("/ns/fraud/v2/models/iris").json()["name"] == "iris@fraud"
    assert served.get("/ns/fraud/v2/models/iris/docs").status == 200


def test_the_same_target_on_another_host_is_another_service() -> None:
    served = gateway("iris", "rose", "iris@fraud")
    for host in ("iris.models.example.org", "rose.models.example.org", "iris.fraud.models.example.org") * 3:
        served.post("/infer", v2(), host=host)
    assert asked(served) == {"iris": 3, "rose": 3, "iris@fraud": 3}
    for host in ("localhost", DOMAIN, "lily.models.example.org", "a.b.c.models.example.org"):
        assert served.post("/infer", v2(), host=host).status == 404
    assert served.post("/v2/models/rose/infer", v2(), host="iris.models.example.org").status == 404
    assert asked(served) == {"iris": 3, "rose": 3, "iris@fraud": 3}


def test_without_a_domain_hosts_say_nothing() -> None:
    served = gateway("iris", domain="")
    assert served.post("/infer", v2(), host="iris.models.example.org").status == 404
    served.post("/v2/models/iris/infer", v2(), host="rose.models.example.org")
    assert asked(served) == {"iris": 1}


@pytest.mark.parametrize("domain", ["", DOMAIN])
def test_metadata_says_the_namespace_of_a_message(domain: str) -> None:
    served = gateway("iris", "iris@fraud", domain=domain)
    message = proto().SerializeToString()
    for _ in range(3):
        served.infer(message, FakeRpc({b"shoal-namespace": b"fraud"}))
        served.infer(message)
    assert asked(served) == {"iris": 3, "iris@fraud": 3}
    refused = served.infer(message, FakeRpc({b"shoal-namespace": b"other"}))
    assert refused.code == NOT_FOUND
    for path, request in [("ModelReady", pb.ModelReadyRequest), ("ModelMetadata", pb.ModelMetadataRequest)]:
        rpc = FakeRpc({b"shoal-namespace": b"fraud"})
        served.call(f"/inference.GRPCInferenceService/{path}", request(name="iris").SerializeToString(), rpc)
        assert rpc.failure is None
    assert pb.ModelMetadataResponse.FromString(rpc.finished[0]).name == "iris@fraud"


def test_a_hosts_message_needs_no_name() -> None:
    served = gateway("iris", "iris@fraud")
    host = {b"host": b"iris.fraud.models.example.org:8080"}
    for name in ("", "iris", "iris@fraud"):
        for _ in range(2):
            served.infer(proto(name).SerializeToString(), FakeRpc(dict(host)))
    assert asked(served) == {"iris@fraud": 6}
    assert served.infer(proto("rose").SerializeToString(), FakeRpc(dict(host))).code == NOT_FOUND
    assert served.infer(proto("").SerializeToString()).code != 0


def test_load_balancers_may_ask_for_the_health_of_a_namespaces_model() -> None:
    from grpc_health.v1 import health_pb2

    served = gateway("iris", "iris@fraud")
    served.models.find("iris@fraud").state = ModelState.LOADING
    seen = {}
    for namespace in (b"fraud", b"default"):
        rpc = FakeRpc({b"shoal-namespace": namespace})
        served.call(
            "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest(service="iris").SerializeToString(), rpc
        )
        seen[namespace] = health_pb2.HealthCheckResponse.FromString(rpc.finished[0]).status
    assert seen == {b"fraud": 2, b"default": 1}


def test_one_service_more_is_one_entry_more() -> None:
    served = gateway("iris")
    before = len(served.application.router.routes), len(served.application.rpc), len(served.models.handles)
    served.models.handles.append(handle("rose@fraud"))
    for target, host in [("/infer", "rose.fraud.models.example.org"), ("/ns/fraud/v2/models/rose/infer", "localhost")]:
        served.post(target, v2(), host=host)
    assert asked(served) == {"rose@fraud": 2}
    after = len(served.application.router.routes), len(served.application.rpc), len(served.models.handles)
    assert after == (*before[:2], before[2] + 1)


def test_sixty_models_are_told_apart_on_one_port() -> None:
    """Each model by path, by host and by name, over HTTP/1.1 and gRPC on clear HTTP/2, and two that are not there."""
    names = [f"model-{number}" for number in range(MANY)]
    served = gateway(*names)

    async def main() -> None:
        application = served.application
        listener = Listener(host="127.0.0.1", port=0, http=application.http, rpc=application.rpc, limits=WireLimits())
        await listener.start()
        try:
            where = f"127.0.0.1:{listener.port}"
            async with httpx.AsyncClient(base_url=f"http://{where}") as client:
                for name in names:
                    first = await client.post(f"/v2/models/{name}/infer", content=v2())
                    second = await client.post("/infer", content=v2(), headers={"host": f"{name}.{DOMAIN}"})
                    assert (first.status_code, second.status_code) == (200, 200)
                assert (await client.post("/v2/models/model-60/infer", content=v2())).status_code == 404
            async with grpc.aio.insecure_channel(where) as channel:
                infer = channel.unary_unary(INFER)
                for name in names:
                    await infer(proto(name).SerializeToString())
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await infer(proto("model-60").SerializeToString())
                assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        finally:
            await application.close()
            await listener.stop(1.0)

    asyncio.run(asyncio.wait_for(main(), 50))
    assert asked(served) == dict.fromkeys(names, 3)
