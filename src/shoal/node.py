"""The composition root: settings become a running node.

This is the only place where the planes meet: the folder scan (control) says what should run, hosting (serving) runs it,
the gateway answers for it, the exposition (monitor) shows it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import uvloop
from google.protobuf.internal import api_implementation

from shoal.control import folder
from shoal.core.allocator import keep_freed_memory
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError, ShoalError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.overrides import override
from shoal.core.tasks import Tasks
from shoal.monitor.exposition import expose
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.endpoints.apps import AppProxy
from shoal.serving.gateway.sockets.listener import Listener
from shoal.serving.gateway.sockets.tls import server_context
from shoal.serving.hosting.folder import FolderModels
from shoal.serving.pool.app import AppProcess

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
"""How often files are looked at under `watch`."""


class Node:
    """Every model of the given paths behind one port. Made inside a running event loop.

    Args:
        settings: of the node.
        paths: model files, model folders, or folders full of them.

    Attributes:
        models: what is served.
        problems: what of the paths cannot be served, and why.
    """

    def __init__(self, settings: NodeSettings, paths: Sequence[Path]) -> None:
        self.settings = settings
        self.problems: list[folder.Problem] = []
        self.metrics = Metrics()
        self._instruments = Instruments(self.metrics)
        self.models = FolderModels(self._make_runner, self._read_specs)
        self._paths = list(paths)
        self._tasks = Tasks()
        self._apps = Apps()
        self._application = Application(
            self.models, metrics=self.metrics, expose=self._expose, apps=self._apps.proxies, rest=settings.rest
        )
        self._listener = Listener(
            host=settings.host,
            port=settings.port,
            http=self._application.http,
            rpc=self._application.rpc,
            limits=settings.wire_limits,
            metrics=self.metrics,
            ssl_context=server_context(settings.tls_cert, settings.tls_key) if settings.tls_cert else None,
        )

    @property
    def url(self) -> str:
        scheme = "https" if self.settings.tls_cert else "http"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{scheme}://{host}:{self._listener.port}"

    async def start(self) -> None:
        """Listen, then load every model; return when each of them is ready or has failed.

        Raises:
            ConfigError: nothing to serve, or the port cannot be had.
        """
        scan = self._scan()
        if not scan.specs:
            raise _nothing_to_serve(self._paths, scan)
        self.problems = list(scan.problems)
        for problem in scan.problems:
            logger.error("skipped: %s", problem.error, extra={"model": problem.name})
        await self._listener.start()
        specs = [self._adjusted(spec) for spec in scan.specs]
        self._apps.serve(specs)
        await self.models.serve(specs)
        if self.settings.watch:
            trust = self.settings.trust
            watching = folder.watch(self._paths, WATCH_SECONDS, self._changed, trust=trust, first=scan)
            self._tasks.start("watch", watching)

    async def stop(self, grace: float) -> None:
        """Not ready any more; no new connections; finish what was accepted within `grace` seconds; then end."""
        self._application.health.draining = True
        await self._tasks.close()
        await self._listener.stop(grace)
        await self._application.close()
        await self._apps.stop()
        await self.models.stop(grace)

    def _make_runner(self, spec: ModelSpec) -> ModelRunner:
        return ModelRunner(spec, instruments=self._instruments, clock=monotonic)

    def _scan(self) -> folder.Scan:
        return folder.scan(self._paths, trust=self.settings.trust)

    def _adjusted(self, spec: ModelSpec) -> ModelSpec:
        """The spec with what the node's own settings say."""
        if self.settings.workers is None:
            return spec
        limits = msgspec.structs.replace(spec.limits, workers=self.settings.workers)
        return msgspec.structs.replace(spec, limits=limits)

    def _read_specs(self, name: str, config: str | None) -> list[ModelSpec]:
        scan = self._scan()
        found = [self._adjusted(spec) for spec in scan.specs if spec.name == name]
        if not found and (problem := next((each for each in scan.problems if each.name == name), None)):
            raise problem.error
        return found if config is None else [override(spec, config) for spec in found]

    def _expose(self) -> tuple[bytes, bytes]:
        for handle in self.models.all():
            if isinstance(handle.runner, ModelRunner):
                handle.runner.update_gauges()
        return expose(self.metrics)

    async def _changed(self, diff: folder.Diff) -> None:
        """Follow the files: what is new or changed is loaded, what is gone is drained."""
        for problem in diff.problems:
            logger.error("refused: %s", problem.error, extra={"model": problem.name})
        for name in sorted(diff.removed):
            await self.models.remove(name)
        outcomes = await asyncio.gather(
            *(self.models.load(name) for name in sorted(diff.added | diff.changed)), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                logger.error("a changed model was refused; what was served goes on: %s", outcome)
        await self._apps.drop(diff.removed | diff.changed)
        self._apps.serve([handle.spec for handle in self.models.all()])


class Apps:
    """The full-custom apps of a node: a process and a proxy each."""

    def __init__(self) -> None:
        self.proxies: dict[str, AppProxy] = {}
        self._processes: dict[str, AppProcess] = {}
        self._started = 0
        self._home: tempfile.TemporaryDirectory[str] | None = None

    def serve(self, specs: Sequence[ModelSpec]) -> None:
        """Start the apps of these models, unless they run already."""
        for spec in specs:
            if not spec.app or spec.name in self.proxies:
                continue
            self._home = self._home or tempfile.TemporaryDirectory(prefix="shoal-apps-")
            self._started += 1
            socket = Path(self._home.name, f"{self._started}.sock")
            process = self._processes[spec.name] = AppProcess(spec, socket)
            process.start()
            self.proxies[spec.name] = AppProxy(str(socket), timeout=spec.limits.timeout_seconds)

    async def drop(self, names: Collection[str]) -> None:
        """End the apps of these models."""
        dropped = self.proxies.keys() & names
        proxies = [self.proxies.pop(name) for name in dropped]
        processes = [self._processes.pop(name) for name in dropped]
        await asyncio.gather(*(proxy.close() for proxy in proxies))
        await asyncio.gather(*(process.stop() for process in processes))

    async def stop(self) -> None:
        """End them all."""
        await self.drop(list(self.proxies))
        if self._home is not None:
            self._home.cleanup()


def run(settings: NodeSettings, paths: Sequence[Path], on_ready: Callable[[Node], None]) -> int:
    """Run a node until SIGTERM or SIGINT; a second signal ends it at once.

    Returns:
        The process's exit code: 0 after a graceful stop, 1 when something was cut off.
    """
    _refuse_slow_protobuf()
    keep_freed_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, paths, on_ready))


def _refuse_slow_protobuf() -> None:
    """The pure-Python backend is slow, and deep messages exhaust its stack."""
    if (backend := api_implementation.Type()) != "upb":
        raise ConfigError(
            f"protobuf runs on its {backend!r} backend, which is not safe to serve with",
            hint="unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, and install protobuf from a wheel",
        )


async def _run(settings: NodeSettings, paths: Sequence[Path], on_ready: Callable[[Node], None]) -> int:
    stopping = _on_signals()
    node = Node(settings, paths)
    try:
        starting = asyncio.ensure_future(node.start())
        both: list[asyncio.Future[None] | asyncio.Future[str]] = [starting, stopping]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            starting.result()
            _settle_memory()
            on_ready(node)
            await stopping
        else:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        logger.info("stopping", extra={"reason": stopping.result()})
    finally:
        await node.stop(settings.grace_seconds)
    return 0


def _on_signals() -> asyncio.Future[str]:
    """A future that the first SIGTERM or SIGINT completes; the second ends the process."""
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[str] = loop.create_future()

    def received(number: int) -> None:
        if stopping.done():
            os._exit(128 + number)
        stopping.set_result(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    return stopping


def _settle_memory() -> None:
    """What lives now lives long: keep the garbage collector from walking it over and over."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _nothing_to_serve(paths: Sequence[Path], scan: folder.Scan) -> ShoalError:
    if len(scan.problems) == 1:
        return scan.problems[0].error
    told = "; ".join(f"{problem.name}: {problem.error}" for problem in scan.problems) or "no model file was found"
    return ConfigError(
        f"nothing to serve in {', '.join(map(str, paths))}: {told}",
        hint="put model files such as iris.joblib or net.onnx there, or start with `shoal init`",
    )
