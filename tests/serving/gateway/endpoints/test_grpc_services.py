import asyncio

import pytest

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.model import ModelState
from support.gateway_fakes import FakeRpc, Gateway, handle

SERVICE = "/inference.GRPCInferenceService/"


def ask(served: Gateway, method: str, **fields: object) -> FakeRpc:
    return served.call(SERVICE + method, getattr(pb, f"{method}Request")(**fields).SerializeToString())


def answer(served: Gateway, method: str, **fields: object):  # type: ignore[no-untyped-def]
    rpc = ask(served, method, **fields)
    assert rpc.failure is None, rpc.failure
    return getattr(pb, f"{method}Response").FromString(rpc.finished[0])


def test_every_method_of_the_service_is_there() -> None:
    methods = Gateway().application.rpc
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert {f"{SERVICE}{each.name}".encode() for each in service.methods} <= set(methods)


def test_health_and_metadata_say_what_rest_says() -> None:
    served = Gateway()
    assert answer(served, "ServerLive").live
    assert answer(served, "ServerReady").ready
    assert answer(served, "ModelReady", name="iris").ready
    server, rest = answer(served, "ServerMetadata"), served.get("/v2").json()
    assert (server.name, server.version, list(server.extensions)) == (rest["name"], rest["version"], rest["extensions"])
    model = answer(served, "ModelMetadata", name="digits", version="1")
    assert (model.name, list(model.versions), model.platform) == ("digits", ["1", "2"], "fake_echo")
    assert [(each.name, each.datatype, list(each.shape)) for each in model.inputs] == [("input-0", "FP32", [-1, 4])]
    config = answer(served, "ModelConfig", name="iris").config
    assert (config.name, config.max_batch_size, config.backend) == ("iris", 8, "echo")


def test_a_model_that_is_not_ready_is_told_so() -> None:
    served = Gateway(handle("iris", state=ModelState.LOADING, reason="it is loading"))
    assert not answer(served, "ModelReady", name="iris").ready
    assert not answer(served, "ServerReady").ready


def test_statistics() -> None:
    stats = answer(Gateway(), "ModelStatistics", name="digits").model_stats
    assert [(each.name, each.version, each.inference_count) for each in stats] == [
        ("digits", "1", 3),
        ("digits", "2", 3),
    ]
    assert stats[0].inference_stats.success.ns == 1_000_000
    assert stats[0].batch_stats[0].batch_size == 2


def test_repository() -> None:
    served = Gateway()

    async def run() -> None:
        unload = ask(served, "RepositoryModelUnload", model_name="iris")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(unload.finished) == 1
        load = pb.RepositoryModelLoadRequest(model_name="iris")
        load.parameters["config"].string_param = "{}"
        rpc = served.call(SERVICE + "RepositoryModelLoad", load.SerializeToString())
        wrong = pb.RepositoryModelLoadRequest(model_name="iris")
        wrong.parameters["file:1/x"].bytes_param = b"\0"
        assert served.call(SERVICE + "RepositoryModelLoad", wrong.SerializeToString()).code == 12
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(rpc.finished) == 1
        await served.application.close()

    asyncio.run(run())
    assert served.models.loads == [("iris", "{}")]
    index = answer(served, "RepositoryIndex", ready=True).models
    assert [(each.name, each.version) for each in index] == [
        ("iris", ""),
        ("digits", "1"),
        ("digits", "2"),
        ("shout", ""),
    ]


@pytest.mark.parametrize("method", ["ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"])
@pytest.mark.parametrize(("name", "code"), [("nothing", 5), ("../x", 3), ("a\0", 3), ("i" * 300, 3)])
def test_names_are_checked(method: str, name: str, code: int) -> None:
    assert ask(Gateway(), method, name=name).code == code


def test_bytes_that_are_no_message_are_refused() -> None:
    served = Gateway()
    for method in served.models and served.application.rpc:
        if method.startswith(SERVICE.encode()):
            assert served.call(method.decode(), b"\xff\xff\xff").code == 3


def test_a_bug_is_internal_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    served = Gateway()
    served.models.ready = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    rpc = ask(served, "ServerReady")
    assert rpc.code == 13
    assert rpc.failure is not None
    assert "division" not in rpc.failure[1]
    assert "division" in caplog.text
