"""Hosts of workers and a proxy's model in one process, over real sockets; the workers are fakes or real processes."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shoal.core.clock import monotonic
from shoal.core.errors import Conflict, NotFound, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.metrics import Metrics
from shoal.core.model import Batching, ModelSpec
from shoal.core.types import Signature
from shoal.node.content.elsewhere import runner_elsewhere
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.waiting.queue import alike
from shoal.serving.peering.directory import SocketFolder
from shoal.serving.pool.jobs import Job
from shoal.serving.remote import Crew, RemoteWorkers, WorkerHost
from shoal.serving.remote.host.shelf import Found, MakeWorkers
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted
from support.fake_workers import FakeWorkers, echo
from support.running import AwaitedCall

LOADED = Loaded(1, Signature((), ()), "fake", True, "", 0.1, 0, "")


class Workers(FakeWorkers):
    """Implements `stock.Workers`: jobs are answered in the next turn of the loop, unless `held`.

    Attributes:
        served: bodies of all calls, in the order in which they came.
        error: why it cannot be loaded.
        slow: loading lasts until this is set.
        resized: the numbers of workers that were asked for.
    """

    def __init__(self, slots: int = 2, *, error: ShoalError | None = None, aside: bool = False) -> None:
        super().__init__(slots)
        self.error = error
        self.ready = 0
        self.failure = ""
        self.held = self.stopped = False
        self.slow: asyncio.Event | None = None
        self.served: list[bytes] = []
        self.resized: list[int] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_death: Callable[[str], None] = lambda reason: None
        self.spare = self if aside else Workers(1, aside=True)

    @property
    def free(self) -> int:
        return self.slots - len(self.jobs) if self.ready or self.spare is self else 0

    async def start(self, *, all_ready: bool = False) -> Loaded:
        if self.error:
            raise self.error
        if self.slow:
            await self.slow.wait()
        self.ready = 1
        return LOADED

    def resize(self, workers: int) -> None:
        self.resized.append(workers)

    async def stop(self) -> None:
        self.stopped, self.ready = True, 0

    def send(self, job: Job) -> None:
        super().send(job)
        self.served += [bytes(call.body) for call in job.calls]
        if not self.held:
            asyncio.get_running_loop().call_soon(self.answer_all)

    def answer_all(self) -> None:
        while self.jobs and not self.held:
            self.finish()

    def release(self) -> None:
        """Answer what is held, and hold nothing more."""
        self.held = False
        self.answer_all()


class OneModel:
    """A source with these specs."""

    def __init__(self, *specs: ModelSpec) -> None:
        self.specs = list(specs)
        self.asked = 0

    async def find(self, wanted: Wanted) -> Found:
        self.asked += 1
        for spec in self.specs:
            if (spec.name, spec.version) == (wanted.name, wanted.version):
                if mark_of(spec) != wanted.mark:
                    raise Conflict(f"the files of {wanted.name} here are others")
                return Found(spec)
        raise NotFound(f"there is no model {wanted.name}")


class Host:
    """A host that can be lost and come back.

    Attributes:
        server: while it is there.
        workers: that were made, the newest last.
    """

    def __init__(self, path: Path, source: OneModel, make: MakeWorkers | None = None) -> None:
        self.path = path
        self.source = source
        self.server: WorkerHost | None = None
        self.workers: list[Workers] = []
        self.next = Workers()
        self._make = make

    async def start(self) -> None:
        self.server = WorkerHost(self.source, self._make or self._fake, name=self.path.stem, metrics=Metrics())
        await self.server.listen_unix(self.path)

    def _fake(self, found: Found) -> Workers:
        self.workers.append(self.next)
        self.next = Workers()
        return self.workers[-1]

    def break_links(self) -> None:
        """Its connections break; nobody listens there any more."""
        assert self.server is not None
        self.server._listening.stop()
        for guest in list(self.server._guests):
            guest.connection.abort()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.close()
        self.server = None


class Proxy:
    """A model whose batches go to the hosts of a folder."""

    def __init__(self, folder: Path, spec: ModelSpec, name: str, **options: Any) -> None:
        self.metrics = Metrics()
        self.instruments = Instruments(self.metrics)
        self.crew = Crew(SocketFolder(folder), name=name, metrics=self.metrics)
        self.runner = runner_elsewhere(spec, self.crew, instruments=self.instruments, weight_of=alike, **options)
        assert isinstance(self.runner.pool, RemoteWorkers)
        self.workers = self.runner.pool

    def submit(self, text: str, **fields: Any) -> asyncio.Future[bytes | ShoalError]:
        call = AwaitedCall(text.encode(), **fields)
        self.runner.dispatch.submit(call)
        return call.outcome

    async def ask(self, *texts: str, **fields: Any) -> list[str | ShoalError]:
        outcomes = await asyncio.gather(*(self.submit(text, **fields) for text in texts))
        return [outcome.decode() if isinstance(outcome, bytes) else outcome for outcome in outcomes]

    def deaths(self) -> dict[str, int]:
        """Deaths of workers by reason, as told by the hosts."""
        return {labels[2]: int(child.value) for labels, child in self.instruments.restarts.children.items()}

    async def start(self) -> None:
        await self.crew.start()
        async with asyncio.timeout(30):
            await self.runner.start()

    async def stop(self) -> None:
        await self.runner.stop()
        await self.crew.close()


async def until(what: Callable[[], object], seconds: float = 20.0) -> float:
    """Wait for something that sockets bring about; how long it took."""
    start = monotonic()
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.002)
    return monotonic() - start


class RemoteWorld:
    """See the module."""

    def __init__(self, folder: Path, hosts: Sequence[Host], proxies: Sequence[Proxy]) -> None:
        self.folder = folder
        self.hosts = list(hosts)
        self.proxies = list(proxies)

    @property
    def proxy(self) -> Proxy:
        return self.proxies[0]

    async def add(self, name: str, *, make: MakeWorkers | None = None) -> Host:
        """One more host."""
        host = Host(self.folder / f"{name}.sock", OneModel(*self.hosts[0].source.specs), make)
        await host.start()
        self.hosts.append(host)
        return host


@asynccontextmanager
async def remote_world(
    hosts: int = 1,
    proxies: int = 1,
    *,
    start: bool = True,
    make: MakeWorkers | None = None,
    held: bool = False,
    batching: Batching | None = None,
    spread: bool = False,
    idle_seconds: float | None = None,
    on_idle: Callable[[str], None] = lambda why: None,
    **spec: Any,
) -> AsyncIterator[RemoteWorld]:
    """Hosts of a fake model and proxies that use them; all are stopped at the end."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "hosts"
        model = ModelSpec(
            **{"name": "m", "path": "", "runtime": "python", "digest": "d", **spec},
            batching=batching or Batching(max_size=4),
        )
        world = RemoteWorld(
            folder,
            [Host(folder / f"h{each}.sock", OneModel(model), make) for each in range(hosts)],
            [
                Proxy(folder, model, f"p{each}", spread=spread, idle_seconds=idle_seconds, on_idle=on_idle)
                for each in range(proxies)
            ],
        )
        for host in world.hosts:
            host.next.held = held
            await host.start()
        try:
            if start:
                for proxy in world.proxies:
                    await proxy.start()
            yield world
        finally:
            for proxy in world.proxies:
                await proxy.stop()
            for host in world.hosts:
                await host.stop()


__all__ = ["Host", "Proxy", "RemoteWorld", "Workers", "echo", "remote_world", "until"]
