import asyncio

import pytest

from shoal.core._generated import shoal_health_pb2 as pb
from shoal.core.model import ModelState
from shoal.serving.gateway.endpoints import grpc_health
from support.gateway_fakes import FakeRpc, Gateway, handle

SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"


def request(service: str = "") -> bytes:
    return bytes(pb.HealthCheckRequest(service=service).SerializeToString())


def statuses(messages: list[bytes]) -> list[int]:
    return [pb.HealthCheckResponse.FromString(message).status for message in messages]


@pytest.mark.parametrize(
    ("service", "status"),
    [("", SERVING), ("inference.GRPCInferenceService", SERVING), ("iris", SERVING), ("broken", NOT_SERVING)],
)
def test_check(service: str, status: int) -> None:
    served = Gateway(handle("iris"), handle("broken", state=ModelState.UNAVAILABLE))
    assert statuses(served.call(CHECK, request(service)).finished) == [status]


def test_check_of_what_nobody_knows_is_not_found() -> None:
    served = Gateway()
    assert served.call(CHECK, request("nothing")).code == 5
    assert served.call(CHECK, b"\xff").code == 3


def test_watchers_are_told_now_and_when_it_changes() -> None:
    served = Gateway(handle("iris"))

    async def run() -> tuple[FakeRpc, FakeRpc]:
        (node, node_stream), (ghost, ghost_stream) = served.stream(WATCH), served.stream(WATCH)
        node_stream.on_message(request())
        node_stream.on_end()
        ghost_stream.on_message(request("later"))
        watchers = served.application._watchers
        watchers.poll()
        served.application.health.draining = True
        served.models.handles.append(handle("later"))
        watchers.poll()
        watchers.poll()
        for rpc in (node, ghost):
            assert rpc.on_gone is not None
            rpc.on_gone()
        assert watchers._timer is None
        served.application.health.draining = False
        watchers.poll()
        await served.application.close()
        return node, ghost

    node, ghost = asyncio.run(run())
    assert statuses(node.sent) == [SERVING, NOT_SERVING]
    assert statuses(ghost.sent) == [UNKNOWN, SERVING]


def test_watchers_do_not_keep_a_node_that_stops() -> None:
    served = Gateway(handle("iris"))

    async def run() -> list[FakeRpc]:
        early, early_stream = served.stream(WATCH)
        early_stream.on_message(request())
        served.application.drain()
        late, late_stream = served.stream(WATCH)
        late_stream.on_message(request())
        assert served.application._watchers._timer is None
        await served.application.close()
        return [early, late]

    early, late = asyncio.run(run())
    assert statuses(early.sent) == [SERVING, NOT_SERVING]
    assert statuses(late.sent) == [NOT_SERVING]
    assert early.code == late.code == 14


def test_watch_takes_exactly_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Gateway()

    async def run() -> None:
        rpc, stream = served.stream(WATCH)
        stream.on_end()
        assert rpc.code == 3
        rpc, stream = served.stream(WATCH)
        stream.on_message(request())
        stream.on_message(request())
        assert rpc.code == 3
        monkeypatch.setattr(grpc_health, "MAX_WATCHERS", 0)
        rpc, stream = served.stream(WATCH)
        stream.on_message(request())
        assert rpc.code == 14
        await served.application.close()

    asyncio.run(run())
