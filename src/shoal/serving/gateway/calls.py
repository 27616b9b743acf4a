"""Requests on their way to their model: what a `Call` is for a REST and for a gRPC request, and how urgent it is."""

from __future__ import annotations

from shoal.core.call import BATCH, INTERACTIVE, SHADOW, Call, Dispatch, Format, State
from shoal.core.errors import InvalidInput, ShoalError
from shoal.serving.gateway import peek, problems, request_ids
from shoal.serving.gateway.exchange import JSON, Exchange, Rpc
from shoal.serving.gateway.quotas import Meter

BINARY = b"application/octet-stream"
CLASS_HEADER = b"x-shoal-class"

LEVELS = 4
"""Priority levels: V2's priority 1 is level 0, the default is level 1, and what is lower than 4 counts as 4."""
CLASSES = {b"interactive": INTERACTIVE, b"batch": BATCH, b"shadow": SHADOW}
"""What the header may say; V2's priorities 2, 3 and 4 mean the same."""


class _GatewayCall(Call):
    """A request that somebody waits for."""

    __slots__ = ()

    def gone(self) -> None:
        """Whoever waited for it has left."""
        raise NotImplementedError


class HttpCall(_GatewayCall):
    """A REST request on its way. All is set here, without `Call`'s own constructor: this runs once per request."""

    __slots__ = ("_dispatch", "_exchange")

    def __init__(
        self,
        format: Format,
        exchange: Exchange,
        dispatch: Dispatch,
        seconds: float,
        json_length: int,
        seen: peek.Peek,
        tenant: str,
    ) -> None:
        rows, priority, _ = seen
        self.format = format
        self.body = exchange.body
        self.json_length = json_length
        self.rows = rows
        self.level = level_of(priority) if priority else 1
        self.arrived = arrived = exchange.arrived
        self.deadline = arrived + seconds
        self.tenant = tenant
        self.attempts = 0
        self.state = State.QUEUED
        self._exchange = exchange
        self._dispatch = dispatch
        exchange.on_gone = self.gone

    def on_answer(self, body: bytes, json_length: int) -> None:
        exchange = self._exchange
        exchange.on_gone = None  # also takes apart the cycle of exchange and call
        if json_length < 0 and request_ids.HEADER not in exchange.headers:
            exchange.respond(200, body)
        elif json_length < 0:
            exchange.respond(200, body, JSON, problems.given_id(exchange.headers))
        else:
            length = (b"Inference-Header-Content-Length", b"%d" % json_length)
            exchange.respond(200, body, BINARY, (length, *problems.given_id(exchange.headers)))

    def on_error(self, error: ShoalError) -> None:
        problems.answer_error(self._exchange, error)

    def gone(self) -> None:
        self._exchange.on_gone = None
        self._dispatch.cancel(self)


class RpcCall(_GatewayCall):
    """A gRPC request on its way; made like `HttpCall`."""

    __slots__ = ("_dispatch", "_rpc")

    def __init__(
        self, rpc: Rpc, message: bytes, dispatch: Dispatch, deadline: float, seen: peek.Peek, tenant: str
    ) -> None:
        rows, priority, _ = seen
        self.format = Format.V2_PROTO
        self.body = message
        self.json_length = -1
        self.rows = rows
        self.level = level_of(priority) if priority else 1
        self.arrived = rpc.arrived
        self.deadline = deadline
        self.tenant = tenant
        self.attempts = 0
        self.state = State.QUEUED
        self._rpc = rpc
        self._dispatch = dispatch
        rpc.on_gone = self.gone

    def on_answer(self, body: bytes, json_length: int) -> None:
        rpc = self._rpc
        rpc.on_gone = None
        rpc.finish(body)

    def on_error(self, error: ShoalError) -> None:
        problems.fail_rpc(self._rpc, error)

    def gone(self) -> None:
        self._rpc.on_gone = None
        self._dispatch.cancel(self)


class _Metered(_GatewayCall):
    """Of a tenant with a quota: `meter` has let it in, and is told of its outcome."""

    __slots__ = ()

    meter: Meter

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.meter.leave()
        super().on_answer(body, json_length)

    def on_error(self, error: ShoalError) -> None:
        self.meter.leave()
        super().on_error(error)

    def gone(self) -> None:
        self.meter.leave()
        super().gone()


class MeteredHttpCall(_Metered, HttpCall):
    __slots__ = ("meter",)


class MeteredRpcCall(_Metered, RpcCall):
    __slots__ = ("meter",)


def level_of(priority: int) -> int:
    """V2's `priority` (0: default, 1: highest) as a level of the queue (0: most urgent)."""
    return 1 if priority == 0 else min(priority, LEVELS) - 1


def classed(seen: peek.Peek, name: bytes) -> peek.Peek:
    """The request with the class that its header names; if it has a priority, too, the less urgent of both counts.

    Raises:
        InvalidInput: there is no such class.
    """
    level = CLASSES.get(name)
    if level is None:
        raise InvalidInput("x-shoal-class is interactive, batch or shadow", field="x-shoal-class")
    return seen._replace(priority=max(seen.priority, level + 1))
