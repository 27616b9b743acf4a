"""`grpc.health.v1`: Check and Watch, for the server and for each model.

The service "" and `inference.GRPCInferenceService` mean the node, and are open to everybody; any other is the name of
a model, which is there for those who may see it. Watchers are told at once and then when their answer changes; while
there are any, one timer asks for all of them.
"""

from __future__ import annotations

import asyncio

from google.protobuf.message import DecodeError

from shoal.core._generated import shoal_health_pb2 as pb
from shoal.core.errors import InvalidInput, NotFound, Overloaded, ShoalError, Unavailable
from shoal.core.model import ModelState
from shoal.core.ports import Models
from shoal.serving.gateway import lookup
from shoal.serving.gateway.endpoints.health import Health
from shoal.serving.gateway.exchange import Rpc, RpcMethods, RpcStream, Streaming, Unary
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.naming import Naming
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.seeking import Seeker

PATH = b"/grpc.health.v1.Health/"
NODE = ("", "inference.GRPCInferenceService", "grpc.health.v1.Health")
EVERY = 0.5
"""Seconds between two looks for the watchers."""
MAX_WATCHERS = 1024

SERVING = pb.HealthCheckResponse.SERVING
NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService:
    """Answers Check and feeds the watchers."""

    def __init__(
        self, models: Models, health: Health, refusals: Refusals, seeker: Seeker, guard: Guard, naming: Naming
    ) -> None:
        self._models = models
        self._health = health
        self._refusals = refusals
        self._seeker = seeker
        self._guard = guard
        self._naming = naming
        self._watchers: set[_Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def methods(self) -> RpcMethods:
        """Path -> method."""
        return {PATH + b"Check": Unary(self._check), PATH + b"Watch": Streaming(self._open)}

    def status(self, service: str, models: Models) -> pb.HealthCheckResponse.ServingStatus:
        """What the service's status is now, for whoever sees these models.

        Raises:
            NotFound: no such service or model.
        """
        if service in NODE:
            return SERVING if self._health.ready() else NOT_SERVING
        handle = lookup.find(models, service)
        return SERVING if handle.state is ModelState.READY else NOT_SERVING

    def seen(self, rpc: Rpc) -> Models:
        """The models that whoever asks may see."""
        return self._guard.glimpse(rpc, rpc.metadata, self._models)

    @property
    def changes(self) -> int:
        """How often it has changed who may see what."""
        return self._guard.changes

    def asked(self, rpc: Rpc, message: bytes) -> str:
        """The service that is asked for: of the node, or the address of a model.

        Raises:
            InvalidInput: not a `HealthCheckRequest`.
            NotFound: what it says contradicts its metadata or host.
        """
        service = parse(message)
        return service if service in NODE else self._naming.name(service, rpc.metadata)

    def poll(self) -> None:
        """Tell the watchers whose answer has changed."""
        for watcher in list(self._watchers):
            watcher.look()

    def watch(self, watcher: _Watch) -> None:
        """Tell this one from now on; while the node stops, once."""
        self._watchers.add(watcher)
        watcher.look()
        if self._health.draining:
            watcher.end()
        elif self._timer is None:
            self._tick()

    def forget(self, watcher: _Watch) -> None:
        """It has gone."""
        self._watchers.discard(watcher)
        if not self._watchers:
            self.close()

    def drain(self) -> None:
        """The node stops: tell the watchers, and end their calls, which would keep it for ever."""
        self.poll()
        for watcher in list(self._watchers):
            watcher.end()

    def full(self) -> bool:
        """Whether no more watchers are taken."""
        return len(self._watchers) >= MAX_WATCHERS

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._tick)
        self.poll()

    def _check(self, rpc: Rpc, message: bytes) -> None:
        try:
            service = self.asked(rpc, message)
            models = self._models if service in NODE else self.seen(rpc)
            self._seeker.run(
                models,
                service,
                "",
                lambda: rpc.finish(encode(self.status(service, models))),
                lambda error: self._refusals.rpc(rpc, error),
            )
        except ShoalError as error:
            self._refusals.rpc(rpc, error)

    def _open(self, rpc: Rpc) -> RpcStream:
        return _Watch(self, rpc, self._refusals)


class _Watch:
    """One watcher: an `RpcStream` that gets one message and sends many."""

    def __init__(self, service: HealthService, rpc: Rpc, refusals: Refusals) -> None:
        self._service = service
        self._rpc = rpc
        self._refusals = refusals
        self._name: str | None = None
        self._models: Models | None = None
        self._changes = -1
        self._told: pb.HealthCheckResponse.ServingStatus | None = None

    def on_message(self, message: bytes) -> None:
        try:
            if self._name is not None:
                raise InvalidInput("Watch takes one message")
            name = self._service.asked(self._rpc, message)
            if self._service.full():
                raise Overloaded(f"{MAX_WATCHERS} watchers are served", retry_after=EVERY)
        except ShoalError as error:
            self._gone()
            self._refusals.rpc(self._rpc, error)
            return
        self._name = name
        self._rpc.on_gone = self._gone
        self._service.watch(self)

    def on_end(self) -> None:
        """The client has nothing more to say; it still listens."""
        if self._name is None:
            self._refusals.rpc(self._rpc, InvalidInput("Watch takes one message"))

    def look(self) -> None:
        """Tell the client if the status is another than it knows."""
        if self._models is None or self._changes != self._service.changes:
            self._changes = self._service.changes
            self._models = self._service.seen(self._rpc)
        try:
            status = self._service.status(self._name or "", self._models)
        except (NotFound, InvalidInput):
            status = UNKNOWN
        if status != self._told:
            self._told = status
            self._rpc.send(encode(status))

    def end(self) -> None:
        """The node stops."""
        self._gone()
        self._refusals.rpc(self._rpc, Unavailable("the node stops", retry_after=1.0))

    def _gone(self) -> None:
        self._service.forget(self)


def parse(message: bytes) -> str:
    """The service that is asked for.

    Raises:
        InvalidInput: not a `HealthCheckRequest`.
    """
    try:
        return str(pb.HealthCheckRequest.FromString(message).service)
    except DecodeError as error:
        raise InvalidInput("the message is not a valid HealthCheckRequest") from error


def encode(status: pb.HealthCheckResponse.ServingStatus) -> bytes:
    """A status as a `HealthCheckResponse`."""
    return bytes(pb.HealthCheckResponse(status=status).SerializeToString())
