"""Which proxies get requests: those that are well, and more than one only for what is hot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from shoal.core.ipc import frames
from shoal.core.model import ModelState
from shoal.core.placement.rendezvous import Hosts
from shoal.serving.hop import HopSettings, messages
from shoal.serving.hop.proxy import server
from shoal.serving.peering import pulse
from support.hop_world import World, oracle_models, until, world


def test_a_proxy_that_comes_gets_its_share_and_no_more() -> None:
    async def test() -> None:
        names = [f"m{at}" for at in range(60)]
        async with world(proxies=0, gateways=0) as w:
            for _ in range(2):
                await w.proxy(oracle_models(*names))
            gateway = await w.gateway()
            before = {name: w.owner(name) for name in names}
            new = await w.proxy(oracle_models(*names))
            await until(lambda: len(gateway.proxies.usable) == 3)
            after = {name: w.owner(name) for name in names}
            moved = [name for name in names if after[name] is not before[name]]
            assert all(after[name] is new for name in moved)
            assert 8 <= len(moved) <= 34

    uvloop.run(test())


def test_a_proxy_that_loads_gets_nothing_before_it_is_ready() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            gateway = w.gateways[0]
            models = oracle_models()
            models.handles[0].state = ModelState.LOADING
            new = await w.proxy(models)
            await until(lambda: len(gateway.proxies.open) == 2)
            await asyncio.sleep(3 * server.HEARTBEAT)
            assert [link.name for link in gateway.proxies.usable] == ["proxy-0"]
            models.handles[0].state = ModelState.READY
            await until(lambda: len(gateway.proxies.usable) == 2)
            models.handles[0].state = ModelState.LOADING  # a model that is loaded later is no reason
            await asyncio.sleep(3 * server.HEARTBEAT)
            assert len(gateway.proxies.usable) == 2
            assert not new.dispatch().ran

    uvloop.run(test())


def test_a_hot_model_gets_a_second_proxy_and_a_cold_one_does_not() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            for _ in range(3):
                await w.proxy(oracle_models("m", "cold"))
            gateway = await w.gateway(HopSettings(hot_rows=40))
            await w.known()
            await w.known("cold")
            for proxy in w.proxies:
                proxy.dispatch().hold = proxy.dispatch("cold").hold = True
            first = w.owner()
            for at in range(30):
                w.submit(at, name="cold")
                w.submit(at)
            await asyncio.sleep(0.3)
            assert len(gateway.proxies.links("m/")) == 1
            for at in range(30, 60):
                w.submit(at)
            await until(lambda: len(gateway.proxies.links("m/")) == 2)
            for at in range(60, 120):
                w.submit(at)
            await until(lambda: sum(len(each.dispatch().calls) for each in w.proxies) == 120)
            counts = sorted(len(each.dispatch().calls) for each in w.proxies)
            assert counts == [0, 60, 60]
            assert len(first.dispatch().calls) == 60
            assert len(gateway.proxies.links("cold/")) == 1
            for proxy in w.proxies:
                proxy.dispatch().run_all()
                proxy.dispatch("cold").run_all()
            await w.settled()
            assert all(call.answered.endswith(b":%d" % call.number) for call in w.calls)

    uvloop.run(test())


class Silent:
    """A proxy that greets, is ready, takes requests, and never says another word."""

    def __init__(self, folder: Path) -> None:
        name = next(
            name for at in range(1000) if Hosts({(name := f"silent-{at}"): 1, "proxy-0": 1}).ranked("m/")[0] == name
        )
        self._path = folder / f"{name}.sock"
        self._name = name
        self.taken = 0
        self._over = asyncio.Event()

    async def __aenter__(self) -> Silent:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._over.set()
        self._server.close()
        self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = (messages.Welcome(messages.PROTOCOL, self._name, "b"), messages.State(ready=True))
        cut = frames.FrameReader()
        while data := await reader.read(65536):
            heard = [messages.decode_to_proxy(header) for header, _ in cut.feed(data)]
            if any(isinstance(each, messages.Hello) for each in heard):
                writer.write(b"".join(frames.prefix(messages.encode(each), 0) for each in said))
            self.taken += sum(isinstance(each, messages.Submit) for each in heard)
        writer.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hearts beat ten times as fast, and are missed as much sooner."""
    monkeypatch.setattr(server, "HEARTBEAT", server.HEARTBEAT / 10)
    monkeypatch.setattr(pulse, "SUSPECT_SECONDS", 0.4)
    monkeypatch.setattr(pulse, "DEAD_SECONDS", 0.8)


async def stand_still(w: World) -> None:
    gateway = w.gateways[0]
    async with Silent(w.folder) as silent:
        await until(lambda: silent.taken or (len(gateway.proxies.usable) == 2 and w.submit()))
        held = w.calls[-1]
        await until(lambda: silent.taken == 1)
        await until(lambda: [link.name for link in gateway.proxies.usable] == ["proxy-0"])
        other = w.submit(7)
        await until(lambda: other.outcomes)
        assert other.answered == b"m:7"
        await w.settled()
        assert held.answered == b"m:%d" % held.number
        assert w.counted("shoal_hop_retries_total") == 1


def test_a_proxy_that_stands_still_gets_nothing_more_and_what_it_had_is_done_elsewhere(quick: None) -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            await stand_still(w)

    uvloop.run(test())
