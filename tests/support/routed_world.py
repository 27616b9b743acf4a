"""A node's hosting with nothing real behind it: control, files and runners that tell what was asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from shoal.core.call import Call, Format
from shoal.core.clock import ManualClock
from shoal.core.errors import ConfigError, NotFound, NotReady, ShoalError, Unavailable
from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, Limits, ModelSpec, ModelState
from shoal.core.registry import Manifest
from shoal.core.routes import Change, Feed, NodeStatus, Route, Target
from shoal.core.service import Autoscaling, Service, parse_address
from shoal.core.types import Signature
from shoal.serving.batching.load import Load
from shoal.serving.hosting.entry import Prepared
from shoal.serving.hosting.journal import Journal
from shoal.serving.hosting.routed import RoutedModels
from shoal.serving.hosting.source import RouteSource
from shoal.serving.hosting.state import RouteState


class Asked(Call):
    """A call that remembers its outcome."""

    __slots__ = ("outcome",)

    def __init__(self, body: bytes = b"", *, arrived: float = 1000.0, deadline: float = 1060.0) -> None:
        super().__init__(Format.V2_JSON, body, arrived=arrived, deadline=deadline)
        self.outcome: bytes | ShoalError | None = None

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.outcome = body

    def on_error(self, error: ShoalError) -> None:
        self.outcome = error


class Answering:
    """A dispatch that answers at once with the name of its version."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.calls: list[Call] = []

    def submit(self, call: Call) -> None:
        self.calls.append(call)
        call.answer(self.answer, -1)

    def cancel(self, call: Call) -> None:
        call.cancel()


class FakeRunner:
    """A runner that does nothing but tell."""

    def __init__(self, spec: ModelSpec, evicted: Callable[[str], None], error: ShoalError | None) -> None:
        self.spec, self.evicted, self.error = spec, evicted, error
        self.dispatch = Answering(spec.version.encode())
        self.loaded: Loaded | None = None
        self.log: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reason = ""
        self.seen = Load(in_flight=0, requests=0, counts=(0,), bounds=(), cpu_seconds=None, ready=1)

    @property
    def state(self) -> ModelState:
        return ModelState.READY

    async def start(self, *, all_ready: bool = False) -> None:
        self.log.append("start all" if all_ready else "start")
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.loaded = Loaded(1, Signature(), "fake", True, "", 0.1, 1, "{}")

    async def drain(self) -> None:
        self.log.append("drain")

    async def stop(self) -> None:
        self.log.append("stop")

    def configure(self, batching: Batching) -> None:
        self.log.append(f"configure {batching.max_size}")

    def resize(self, workers: int) -> None:
        self.log.append(f"resize {workers}")

    def statistics(self) -> dict[str, object]:
        return {}

    def load(self) -> Load:
        return self.seen

    def explain(self) -> dict[str, object]:
        return {"workers_ready": 1}


class FakeControl:
    """Control in memory; `silent` makes it answer nothing."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = {}
        self.silent = False
        self.asked: list[tuple[str, str]] = []
        self.feeds: asyncio.Queue[Feed] = asyncio.Queue()
        self.reports: list[NodeStatus] = []
        self.position = 0

    def put(self, text: str, version: str = "1", *, asked: str = "", target: bool = True, **changes: object) -> Change:
        """Say how an address is answered from now on; the change that tells of it."""
        name, environment, namespace = parse_address(text)
        implicit = bool(changes.pop("implicit", False))
        reason = str(changes.pop("reason", ""))
        forbidden = bool(changes.pop("forbidden", False))
        service = Service(name=name, environment=environment, namespace=namespace, model=name, **changes)  # type: ignore[arg-type]
        answer = Target(namespace=namespace, model=name, version=version, digest=f"d{version}", manifest=Manifest(()))
        self.position += 1
        self.routes[text, asked] = Route(
            service=service,
            target=answer if target else None,
            implicit=implicit,
            revision=self.position,
            network=False if forbidden else service.network,
            reason=reason,
        )
        kind = "model" if implicit else "service"
        return Change(number=self.position, kind=kind, namespace=namespace, name=name, environment=environment)  # type: ignore[arg-type]

    async def route(self, address: str, version: str) -> Route:
        self.asked.append((address, version))
        await asyncio.sleep(0)
        self._listen()
        if (address, version) not in self.routes:
            raise NotFound(f"there is no {address!r}")
        return self.routes[address, version]

    async def desired(self) -> list[Route]:
        self._listen()
        return [route for (_, version), route in self.routes.items() if route.must_run and not version]

    async def feed(self, after: int, wait: float) -> Feed:
        self._listen()
        if wait == 0.0 and self.feeds.empty():
            return Feed(changes=(), position=self.position)
        return await self.feeds.get()

    async def report(self, status: NodeStatus) -> None:
        self._listen()
        self.reports.append(status)

    def _listen(self) -> None:
        if self.silent:
            raise Unavailable("control does not answer")


class World:
    """Everything together.

    Attributes:
        broken: versions whose runner does not start.
        missing: versions whose files cannot be had.
        refused: why the files of a version cannot be had just now.
        made: all that there are, so that their files can be closed at the end of a test.
    """

    made: ClassVar[list[World]] = []

    def __init__(self, state: RouteState | None = None) -> None:
        World.made.append(self)
        self.clock = ManualClock()
        self.control = FakeControl()
        self.state = state or RouteState(None)
        self.source = RouteSource(self.control, self.state)
        self.journal = Journal(clock=self.clock)
        self.runners: list[FakeRunner] = []
        self.broken: set[str] = set()
        self.missing: set[str] = set()
        self.refused: dict[str, ShoalError] = {}
        self.released: list[str] = []
        self.held = False
        self.counted: list[str] = []
        self.naps: list[float] = []
        self.rested = asyncio.Event()
        self.models = RoutedModels(
            self.source,
            self,
            self.make,
            journal=self.journal,
            clock=self.clock,
            count=self.counted.append,
            sleep=self.nap,
        )

    async def nap(self, seconds: float) -> None:
        """A sleep that ends when told to."""
        self.naps.append(seconds)
        await self.rested.wait()
        self.rested.clear()

    async def prepare(self, route: Route, version: str) -> Prepared:
        target, service = route.target, route.service
        assert target is not None
        await asyncio.sleep(0)
        if target.version in self.missing:
            raise NotReady("its files cannot be had")
        if target.version in self.refused:
            raise self.refused[target.version]
        workers = max(1, service.replicas)
        spec = ModelSpec(
            name=service.address,
            version=target.version,
            path="/m",
            runtime="fake",
            digest=target.digest,
            batching=Batching(max_size=service.batching.get("max_size")),  # type: ignore[arg-type]
            limits=Limits(workers=workers),
        )
        return Prepared(spec, lambda: self.released.append(spec.version))

    def make(self, spec: ModelSpec, route: Route, on_evicted: Callable[[str], None]) -> FakeRunner:
        error = ConfigError("it is broken", hint="mend it") if spec.version in self.broken else None
        runner = FakeRunner(spec, on_evicted, error)
        if self.held:
            runner.gate.clear()
        self.runners.append(runner)
        return runner

    async def call(self, name: str, version: str = "") -> Asked:
        """Call a model as the gateway does; the call may still wait afterwards."""
        call = Asked(arrived=self.clock(), deadline=self.clock() + 60)
        try:
            handle = self.models.find(name, version)
        except NotFound:
            await self.models.discover(name, version)
            handle = self.models.find(name, version)
        handle.dispatch.submit(call)
        await settle()
        return call


async def settle() -> None:
    """Let everything happen that needs no time."""
    for _ in range(30):
        await asyncio.sleep(0)


def scale_to_zero() -> Autoscaling:
    return Autoscaling(min_replicas=0, max_replicas=2)
