"""Requests for models that the node has not been asked for yet."""

from __future__ import annotations

import asyncio
import json

import pytest

from shoal.core.errors import NotFound, Unavailable
from support.gateway_fakes import Gateway, handle, proto, v2


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_model_that_is_known_elsewhere_is_looked_for_and_answers() -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.models.elsewhere[("far", "")] = handle("far")
        exchange = gateway.ask("POST", "/v2/models/far/infer", v2())
        await settle()
        assert exchange.answer.status == 200
        again = gateway.ask("POST", "/v2/models/far/infer", v2())
        assert again.answer.status == 200, "now it is known"

    asyncio.run(main())


def test_the_same_over_grpc_and_for_metadata() -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.models.elsewhere[("far", "")] = handle("far")
        gateway.models.elsewhere[("near", "")] = handle("near")
        rpc = gateway.infer(proto("far").SerializeToString())
        exchange = gateway.ask("GET", "/v2/models/near")
        await settle()
        assert rpc.finished
        assert json.loads(exchange.answer.body)["name"] == "near"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "status"), [(NotFound("nobody knows it", hint="ask louder"), 404), (Unavailable("control is away"), 503)]
)
def test_what_went_wrong_is_told(error: Exception, status: int) -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.models.elsewhere[("far", "")] = error
        exchange = gateway.ask("POST", "/v2/models/far/infer", v2())
        await settle()
        assert exchange.answer.status == status
        assert json.loads(exchange.answer.body)["error"] == str(error)

    asyncio.run(main())


def test_a_name_that_cannot_be_one_is_not_looked_for() -> None:
    async def main() -> None:
        gateway = Gateway()
        gateway.models.elsewhere[("far", "")] = handle("far")
        exchange = gateway.ask("POST", "/v2/models/%2e%2e/infer", v2())
        assert exchange.answer.status in (400, 404)

    asyncio.run(main())


def test_a_model_that_was_forgotten_meanwhile_is_looked_for_again() -> None:
    async def main() -> None:
        gateway = Gateway()
        assert gateway.ask("POST", "/v2/models/iris/infer", v2()).answer.status == 200
        gateway.models.elsewhere[("iris", "")] = handle("iris")
        gateway.models.handles.clear()
        exchange = gateway.ask("POST", "/v2/models/iris/infer", v2())
        await settle()
        assert exchange.answer.status == 200

    asyncio.run(main())


def test_who_waits_when_the_node_stops_is_told() -> None:
    async def main() -> None:
        gateway = Gateway()
        never = asyncio.Event()

        async def discover(name: str, version: str = "") -> None:
            await never.wait()

        gateway.models.elsewhere[("x", "")] = handle("x")
        gateway.models.discover = discover  # type: ignore[method-assign]
        exchange = gateway.ask("POST", "/v2/models/far/infer", v2())
        await settle()
        await gateway.application.close()
        assert exchange.answer.status == 503

    asyncio.run(main())


def test_why_tells_what_the_model_says_of_itself() -> None:
    gateway = Gateway()
    assert json.loads(gateway.get("/v2/models/iris/why").body) == {"name": "iris", "state": "READY", "reason": ""}
