"""What a gateway knows of models: from memory, refreshed, and asked for anew where it is of the moment."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from shoal.core.errors import NotFound, ShoalError, Unavailable
from shoal.core.metrics import Metrics
from shoal.core.model import ModelState
from shoal.monitor.exposition import expose
from shoal.serving.gateway.application import Application
from shoal.serving.hop import HopSettings
from support.gateway_fakes import FakeExchange, FakeModels, handle
from support.hop_world import OracleDispatch, oracle_models, until, world

QUICK = HopSettings(refresh_seconds=0.02)


def versions() -> FakeModels:
    return FakeModels(
        handle("iris", "1", dispatch=OracleDispatch()),
        handle("iris", "2", dispatch=OracleDispatch(), timeout=7.0),
        handle("text", dispatch=OracleDispatch()),
    )


def test_a_model_is_described_as_its_proxy_describes_it() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(versions())
            gateway = await w.gateway()
            with pytest.raises(NotFound):
                gateway.find("iris")
            assert gateway.discoverable("iris")
            await gateway.discover("iris")
            ours, theirs = gateway.find("iris"), proxy.models.find("iris")
            for each in ("state", "reason", "signature", "batchable", "batch_reason", "platform", "example"):
                assert getattr(ours, each) == getattr(theirs, each)
            assert ours.spec.limits == theirs.spec.limits
            assert (ours.spec.version, ours.spec.path) == ("2", "")
            assert [each.spec.version for each in gateway.versions("iris")] == ["1", "2"]
            assert list(gateway.some(5)) == ["iris"]
            await gateway.discover("iris", "1")
            assert gateway.find("iris", "1").spec.version == "1"

    asyncio.run(test())


def test_a_name_that_nobody_knows_is_asked_for_once_in_a_while() -> None:
    async def test() -> None:
        async with world(proxies=2) as w:
            gateway = w.gateways[0]
            outcomes = await asyncio.gather(*(gateway.discover("nope") for _ in range(20)), return_exceptions=True)
            assert all(isinstance(each, NotFound) for each in outcomes)
            assert not gateway.discoverable("nope")
            assert sum(proxy.models.finds for proxy in w.proxies) <= 6

    asyncio.run(test())


def test_what_the_proxy_would_look_for_is_looked_for() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            w.proxies[0].models.elsewhere["new", ""] = handle("new", dispatch=OracleDispatch())
            await w.gateways[0].discover("new")
            w.submit(1, name="new")
            await w.settled()
            assert w.calls[0].answered == b"new:1"
            del w.proxies[0].models.handles[-1]
            w.submit(2, name="new")
            await w.settled()
            assert w.calls[1].answered == b"new:2"

    asyncio.run(test())


def test_changes_are_seen_in_the_background() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(versions())
            gateway = await w.gateway(QUICK)
            await gateway.discover("iris")
            changed = proxy.models.find("iris")
            changed.state, changed.reason = ModelState.UNAVAILABLE, "it broke"
            await until(lambda: gateway.find("iris").reason == "it broke")
            assert gateway.find("iris").state is ModelState.UNAVAILABLE
            proxy.models.handles.clear()
            with pytest.raises(NotFound):
                await until(lambda: gateway.find("iris") is None)

    asyncio.run(test())


def test_a_gateway_waits_a_moment_for_its_first_proxy() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=1) as w:
            looking = asyncio.create_task(w.gateways[0].discover("m"))
            await w.proxy()
            await looking
            assert w.gateways[0].find("m")

    asyncio.run(test())


def test_without_proxies_what_was_known_is_still_known() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(versions())
            gateway = await w.gateway(HopSettings(patience_seconds=0.05))
            await gateway.discover("iris")
            assert gateway.ready()
            await proxy.kill()
            await until(lambda: not gateway.ready())
            assert gateway.find("iris").spec.version == "2"
            assert gateway.find("iris").statistics()["name"] == "iris"
            with pytest.raises(Unavailable):
                await gateway.discover("text")

    asyncio.run(test())


def test_orders_go_to_all_proxies_or_to_the_models_own() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            for _ in range(3):
                await w.proxy(versions())
            everywhere = await w.gateway()
            await everywhere.load("iris", '{"x": 1}')
            assert [each.models.loads for each in w.proxies] == [[("iris", '{"x": 1}')]] * 3
            owners = await w.gateway(HopSettings(everywhere=False))
            await owners.load("text")
            assert sorted(len(each.models.loads) for each in w.proxies) == [1, 1, 2]
            await owners.unload("text")
            assert all(each.models.find("text").state is ModelState.UNAVAILABLE for each in w.proxies)
            assert owners.find("text").state is ModelState.UNAVAILABLE
            w.proxies[0].models.handles = w.proxies[0].models.handles[:2]
            await owners.unload("text")
            with pytest.raises(NotFound):
                await owners.unload("nope")
            w.proxies[1].models.load_error = ShoalError("it cannot be")
            with pytest.raises(ShoalError, match="it cannot be"):
                await everywhere.load("iris")

    asyncio.run(test())


def ask(application: Application, target: str, method: str = "GET") -> FakeExchange:
    exchange = FakeExchange(method, target)
    application.http(exchange)
    return exchange


def test_the_data_port_tells_what_the_proxies_know() -> None:
    """Statistics, `why` and the index through a gateway's own application."""

    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            for _ in range(2):
                await w.proxy(versions())
            gateway = await w.gateway(QUICK)
            metrics = Metrics()
            application = Application(gateway, metrics=metrics, expose=lambda tell: tell(*expose(metrics)))

            async def body(target: str, method: str = "GET") -> Any:
                exchange = ask(application, target, method)
                await until(lambda: exchange.answers)
                status, text = exchange.answer.status, exchange.answer.body
                assert status == 200, text
                return json.loads(text)

            await body("/v2/models/text/stats")  # of the model's own proxy
            gateway.find("text").told_at = gateway.versions("text")[0].told_at = 0.0
            (stats,) = (await body("/v2/models/text/stats"))["model_stats"]
            assert stats["inference_count"] == 6
            assert stats["batch_stats"] == [{"batch_size": 2, "compute_infer": {"count": 6, "ns": 2_000_000}}]
            assert [each["version"] for each in (await body("/v2/models/iris/stats"))["model_stats"]] == ["1", "2"]
            why = await body("/v2/models/iris/why")
            assert (why["name"], why["state"], why["proxies"]) == (
                "iris",
                "READY",
                [link.name for link in gateway.proxies.links("iris/")],
            )
            await until(lambda: len(gateway.all()) == 3)
            names = [each["name"] for each in await body("/v2/repository/index", "POST")]
            assert names == ["iris", "iris", "text"]
            everything = (await body("/v2/models/stats"))["model_stats"]
            assert [each["inference_count"] for each in everything] == [6, 6, 6]
            await application.close()

    asyncio.run(test())


def test_figures_are_told_however_long_the_process_stands_still() -> None:
    """Each look at the clock is ten seconds after the one before."""

    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            for _ in range(2):
                await w.proxy(versions())
            gateway = await w.gateway()
            await gateway.discover("iris")
            gateway._clock = map(float, itertools.count(10**9, 10)).__next__
            application = Application(gateway, metrics=Metrics(), expose=lambda tell: tell(b"", b""))
            for target in ("/v2/models/iris/stats", "/v2/models/iris/versions/1/stats", "/v2/models/iris/why"):
                exchange = ask(application, target)
                await until(lambda exchange=exchange: exchange.answers)
                assert exchange.answer.status == 200, exchange.answer.body
            await application.close()

    asyncio.run(test())


def test_a_proxy_that_says_nothing_makes_figures_unavailable_not_unknown() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=0) as w:
            gateway = await w.gateway(HopSettings(ask_seconds=0.05))
            await gateway.discover("m")
            server = w.proxies[0].server
            assert server is not None
            server.telling._answers["describe"] = lambda ask, payload: asyncio.Event().wait()  # type: ignore[assignment,return-value]
            gateway.find("m").told_at = 0.0
            application = Application(gateway, metrics=Metrics(), expose=lambda tell: tell(b"", b""))
            for target in ("/v2/models/m/stats", "/v2/models/m/why"):
                exchange = ask(application, target)
                await until(lambda exchange=exchange: exchange.answers)
                assert exchange.answer.status == 503, exchange.answer.body
                assert b'"unavailable"' in exchange.answer.body
            exchange = ask(application, "/v2/models/none/stats")
            await until(lambda: exchange.answers)
            assert gateway.find("m")
            await application.close()

    asyncio.run(test())


def test_no_secret_of_a_spec_leaves_the_proxy() -> None:
    async def test() -> None:
        import msgspec

        async with world(proxies=0, gateways=0) as w:
            models = oracle_models("m")
            models.handles[0].spec = msgspec.structs.replace(
                models.handles[0].spec, environment={"TOKEN": "hush"}, parameters={"key": "hush"}, path="/home/hush"
            )
            await w.proxy(models)
            gateway = await w.gateway()
            await gateway.discover("m")
            assert "hush" not in repr(gateway.find("m").spec)

    asyncio.run(test())
