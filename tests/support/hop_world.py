"""Gateways and proxies in one process, over real sockets, with models that write down what they run."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from shoal.core.call import Call, State
from shoal.core.clock import monotonic
from shoal.core.errors import ShoalError
from shoal.core.metrics import Metrics
from shoal.serving.hop import HopSettings, ProxyServer, ProxySettings, RemoteModels, SocketFolder
from support.calls import RecordedCall
from support.gateway_fakes import EchoDispatch, FakeModels, handle

PATIENCE = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Wait for what real sockets bring about."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


class OracleDispatch(EchoDispatch):
    """Runs each call a little later, and answers ``MODEL:BODY``; like a batcher it refuses nothing once it runs.

    Attributes:
        ran: bodies that were run, in order.
        seconds: from `submit` to the answer.
        error: what calls are refused with instead.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.ran: list[bytes] = []
        self.seconds = seconds
        self.late_error: ShoalError | None = None

    def submit(self, call: Call) -> None:
        if self.error is not None:
            call.fail(self.error)
            return
        self.calls.append(call)
        if not self.hold:
            asyncio.get_running_loop().call_later(self.seconds, self.run, call)

    def run(self, call: Call) -> None:
        """Answer a call, unless its caller has gone."""
        if call.state is State.DONE:
            return
        assert self.handle is not None
        self.ran.append(bytes(call.body))
        if self.late_error is not None:
            call.fail(self.late_error)
        else:
            call.answer(f"{self.handle.spec.name}:".encode() + bytes(call.body), -1)

    def run_all(self) -> None:
        """Answer what was held."""
        for call in self.calls:
            self.run(call)


def oracle_models(*names: str, seconds: float = 0.0, **spec: Any) -> FakeModels:
    """Models whose dispatches are oracles; `spec` are fields of their specs."""
    handles = [handle(name, dispatch=OracleDispatch(seconds)) for name in names or ("m",)]
    for each in handles:
        each.spec = msgspec.structs.replace(each.spec, **spec)
    return FakeModels(*handles)


class Proxy:
    """A proxy that can be killed and started again."""

    def __init__(self, world: World, name: str, models: FakeModels, settings: ProxySettings | None) -> None:
        self._world = world
        self._settings = settings
        self.name = name
        self.models = models
        self.server: ProxyServer | None = None
        self.servers: list[ProxyServer] = []

    @property
    def path(self) -> Path:
        return self._world.folder / f"{self.name}.sock"

    def dispatch(self, name: str = "m") -> OracleDispatch:
        found = self.models.find(name).dispatch
        assert isinstance(found, OracleDispatch)
        return found

    async def start(self) -> None:
        self.server = ProxyServer(self.models, name=self.name, metrics=Metrics(), settings=self._settings)
        self.servers.append(self.server)
        await self.server.listen_unix(self.path)

    async def kill(self) -> None:
        """As if its process had died: connections break, what it had is lost, and the socket file stays."""
        server, self.server = self.server, None
        assert server is not None
        server._listening._sockets.clear()
        for guest in list(server._guests):
            guest.connection.abort()
        await server.close()

    def break_links(self) -> None:
        """All its connections break, and nothing else."""
        assert self.server is not None
        for guest in list(self.server._guests):
            guest.connection.abort()


class World:
    """See the module.

    Attributes:
        folder: where proxies and gateways meet.
        proxies, gateways: all of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxies: list[Proxy] = []
        self.gateways: list[RemoteModels] = []
        self.metrics: list[Metrics] = []
        self.calls: list[RecordedCall] = []

    async def proxy(self, models: FakeModels | None = None, settings: ProxySettings | None = None) -> Proxy:
        """Start another proxy."""
        proxy = Proxy(self, f"proxy-{len(self.proxies)}", models or oracle_models(), settings)
        self.proxies.append(proxy)
        await proxy.start()
        return proxy

    async def gateway(self, settings: HopSettings | None = None) -> RemoteModels:
        """Start another gateway; return when it has found all proxies that run."""
        metrics = Metrics()
        gateway = RemoteModels(SocketFolder(self.folder), metrics=metrics, settings=settings)
        self.gateways.append(gateway)
        self.metrics.append(metrics)
        await gateway.start()
        running = sum(proxy.server is not None for proxy in self.proxies)
        await until(lambda: len(gateway.proxies.usable) == running)
        return gateway

    async def known(self, name: str = "m") -> None:
        """Let all gateways know a model."""
        for gateway in self.gateways:
            await gateway.discover(name)

    def submit(
        self, number: int | None = None, *, name: str = "m", gateway: int | None = None, **fields: Any
    ) -> RecordedCall:
        """Send a call through a gateway, one or any."""
        at = random.randrange(len(self.gateways)) if gateway is None else gateway
        call = RecordedCall(len(self.calls) if number is None else number, arrived=monotonic(), **fields)
        self.calls.append(call)
        self.gateways[at].find(name).dispatch.submit(call)
        return call

    def owner(self, name: str = "m") -> Proxy:
        """The proxy that has a model."""
        (link,) = self.gateways[0].proxies.links(f"{name}/")
        return next(each for each in self.proxies if each.name == link.name)

    async def restart(self, proxy: Proxy) -> None:
        """Kill a proxy and start it again; return when all gateways have noticed both."""
        await proxy.kill()
        await until(lambda: all(len(each.proxies.open) < len(self.proxies) for each in self.gateways))
        await proxy.start()
        await until(lambda: all(len(each.proxies.open) == len(self.proxies) for each in self.gateways))

    async def settled(self) -> None:
        """Wait until every call has its outcome."""
        await until(lambda: all(call.outcomes or call.state is State.DONE for call in self.calls))

    def counted(self, name: str, gateway: int = 0) -> float:
        """A gateway's metric, all labels together."""
        family = next(each for each in self.metrics[gateway].families if each.name == name)
        return sum(child.value for child in family.children.values())  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def world(proxies: int = 2, gateways: int = 1, **options: Any) -> AsyncIterator[World]:
    """Everything started, the model ``m`` known; ended with the test. `options` go to `oracle_models`."""
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder) / "hop")
        try:
            for _ in range(proxies):
                await made.proxy(oracle_models(**options))
            for _ in range(gateways):
                await made.gateway()
            if proxies:
                await made.known()
            yield made
        finally:
            for gateway in made.gateways:
                await gateway.close()
            for proxy in made.proxies:
                if proxy.server is not None:
                    await proxy.server.close()
