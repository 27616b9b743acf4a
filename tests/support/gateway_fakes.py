"""Fakes on both sides of the gateway's application: exchanges that record their answer, models that echo.

The fake dispatch answers each call at once with the oracle: every input tensor comes back as an output. With `hold` it
keeps the calls, for tests of cancellation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Call, Format
from shoal.core.errors import InvalidInput, NotFound, NotReady, ShoalError
from shoal.core.limits import TenantLimits
from shoal.core.metrics import Metrics
from shoal.core.model import Batching, Limits, ModelSpec, ModelState
from shoal.core.types import Signature, TensorSpec
from shoal.monitor.exposition import expose
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.endpoints.apps import AppProxy
from shoal.serving.gateway.exchange import Exchange, Headers, Rpc, Streaming, Unary
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.quotas import Quotas


class FakeExchange(Exchange):
    """An HTTP request that remembers how it was answered."""

    __slots__ = ("_peer", "answers")

    def __init__(
        self,
        method: str,
        target: str | bytes,
        body: bytes = b"",
        headers: dict[bytes, bytes] | None = None,
        peer: str = "192.0.2.1",
    ) -> None:
        self.method = method.encode()
        self.target = target if isinstance(target, bytes) else target.encode()
        self.headers = headers or {}
        self.body = body
        self.arrived = 1000.0
        self.on_gone = None
        self._peer = peer
        self.answers: list[HttpAnswer] = []

    def peer(self) -> str:
        return self._peer

    def respond(
        self,
        status: int,
        body: bytes | bytearray | memoryview = b"",
        content_type: bytes = b"application/json",
        headers: Headers = (),
    ) -> None:
        self.answers.append(HttpAnswer(status, bytes(body), content_type, list(headers)))

    @property
    def answer(self) -> HttpAnswer:
        """The one answer."""
        assert len(self.answers) == 1, self.answers
        return self.answers[0]


@dataclass
class HttpAnswer:
    status: int
    body: bytes
    content_type: bytes
    header_list: list[tuple[bytes, bytes]]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return {name.lower(): value for name, value in self.header_list}

    def json(self) -> Any:
        assert self.content_type == b"application/json"
        return json.loads(self.body)


class FakeRpc(Rpc):
    """A gRPC call that remembers how it was answered."""

    __slots__ = ("ended", "failure", "finished", "sent")

    def __init__(self, metadata: dict[bytes, bytes] | None = None, deadline: float | None = None) -> None:
        self.path = b""
        self.metadata = metadata or {}
        self.arrived = 1000.0
        self.deadline = deadline
        self.on_gone = None
        self.finished: list[bytes] = []
        self.sent: list[bytes] = []
        self.ended = 0
        self.failure: tuple[int, str, dict[bytes, bytes], bytes] | None = None

    def finish(self, message: bytes) -> None:
        self.finished.append(message)

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def end(self) -> None:
        self.ended += 1

    def fail(self, status: int, message: str, metadata: Headers = (), details: bytes = b"") -> None:
        assert self.failure is None
        self.failure = (status, message, dict(metadata), details)

    @property
    def code(self) -> int:
        return self.failure[0] if self.failure else 0


class EchoDispatch:
    """Answers with the oracle at once, unless told to hold or to fail, or its handle is not ready."""

    def __init__(self) -> None:
        self.handle: FakeHandle | None = None
        self.calls: list[Call] = []
        self.cancelled: list[Call] = []
        self.hold = False
        self.error: ShoalError | None = None

    def submit(self, call: Call) -> None:
        handle = self.handle
        if handle is not None and handle.state is not ModelState.READY:
            call.fail(NotReady(f"model {handle.spec.name!r} is not ready: {handle.reason}", retry_after=1.0))
            return
        self.calls.append(call)
        if self.error is not None:
            call.fail(self.error)
        elif not self.hold:
            try:
                call.answer(*oracle(call))
            except ShoalError as error:
                call.fail(error)

    def cancel(self, call: Call) -> None:
        call.cancel()
        self.cancelled.append(call)


def oracle(call: Call) -> tuple[bytes, int]:
    """Every input as an output of the same name."""
    body = bytes(call.body)
    if call.format is Format.V2_PROTO:
        return _echo_proto(body), -1
    if call.json_length == 0:
        return b"{}" + body, 2
    document = json.loads(body if call.json_length < 0 else body[: call.json_length])
    if call.format is Format.PREDICT_ALL:
        return json.dumps({"outputs": document["inputs"]}).encode(), -1
    if call.format is Format.V1_JSON:
        return json.dumps({"predictions": document["instances"]}).encode(), -1
    answer = json.dumps({"model_name": "fake", "outputs": document["inputs"]}).encode()
    return (answer, -1) if call.json_length < 0 else (answer + body[call.json_length :], len(answer))


def _echo_proto(body: bytes) -> bytes:
    try:
        request = pb.ModelInferRequest.FromString(body)
    except Exception as error:
        raise InvalidInput("malformed") from error
    answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
    for tensor in request.inputs:
        out = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if tensor.HasField("contents"):
            out.contents.CopyFrom(tensor.contents)
    answer.raw_output_contents.extend(request.raw_input_contents)
    return bytes(answer.SerializeToString())


IRIS = Signature(
    (TensorSpec("input-0", "FP32", (-1, 4)),), (TensorSpec("label", "INT64", (-1,)), TensorSpec("p", "FP32", (-1, 3)))
)
TEXT = Signature((TensorSpec("text", "BYTES", (-1,)),), (TensorSpec("answer", "BYTES", (-1,)),))
EXAMPLE = '{"inputs":[{"name":"input-0","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'


@dataclass
class FakeHandle:
    """One version of a model that echoes."""

    spec: ModelSpec
    state: ModelState = ModelState.READY
    reason: str = ""
    signature: Signature = IRIS
    batchable: bool = True
    batch_reason: str = ""
    platform: str = "fake_echo"
    example: str = ""
    dispatch: EchoDispatch = field(default_factory=EchoDispatch)

    def __post_init__(self) -> None:
        self.dispatch.handle = self

    def statistics(self) -> dict[str, object]:
        duration = {"count": 3, "ns": 1_000_000}
        return {
            "last_inference": 1,
            "inference_count": 3,
            "execution_count": 2,
            "inference_stats": {"success": duration, "queue": duration},
            "batch_stats": [{"batch_size": 2, "compute_infer": duration}],
        }


def handle(name: str, version: str = "", **changes: Any) -> FakeHandle:
    """A handle; `timeout` is its model's limit in seconds."""
    limits = Limits(timeout_seconds=changes.pop("timeout", 60.0))
    spec = ModelSpec(
        name=name, path="/nowhere", runtime="echo", version=version, limits=limits, batching=Batching(max_size=8)
    )
    return FakeHandle(spec, **changes)


class FakeModels:
    """Models in a list; loading and unloading change states."""

    def __init__(self, *handles: FakeHandle) -> None:
        self.handles = list(handles)
        self.loads: list[tuple[str, str | None]] = []
        self.load_error: Exception | None = None
        self.finds = 0
        self.elsewhere: dict[tuple[str, str], FakeHandle | Exception] = {}
        """What `discover` finds."""

    def find(self, name: str, version: str = "") -> FakeHandle:
        self.finds += 1
        found = [each for each in self.versions(name) if version in ("", each.spec.version)]
        if not found:
            raise NotFound(f"there is no model {name!r}")
        return found[-1]

    def measured(self, name: str, version: str = "") -> bool:
        return True

    async def measure(self, name: str, version: str = "") -> None:
        raise AssertionError("what is of this process is always of the moment")

    def discoverable(self, name: str, version: str = "") -> bool:
        return bool(self.elsewhere)

    async def discover(self, name: str, version: str = "") -> None:
        found = self.elsewhere.get((name, version), NotFound(f"nobody knows {name!r}"))
        if isinstance(found, Exception):
            raise found
        self.handles.append(found)

    def explain(self, name: str, version: str = "") -> dict[str, object]:
        found = self.find(name, version)
        return {"name": found.spec.name, "state": found.state.value, "reason": found.reason}

    def ready(self) -> bool:
        states = [each.state for each in self.handles]
        return ModelState.LOADING not in states and (not states or ModelState.READY in states)

    def versions(self, name: str) -> list[FakeHandle]:
        return [each for each in self.handles if each.spec.name == name]

    def all(self) -> list[FakeHandle]:
        return self.handles

    def some(self, limit: int) -> list[str]:
        return [each.spec.name for each in self.handles[:limit]]

    async def load(self, name: str, config: str | None = None) -> None:
        self.loads.append((name, config))
        if self.load_error is not None:
            raise self.load_error
        self.find(name)
        for each in self.versions(name):
            each.state = ModelState.READY

    async def unload(self, name: str) -> None:
        self.find(name)
        for each in self.versions(name):
            each.state, each.reason = ModelState.UNAVAILABLE, "it was unloaded"


class Gateway:
    """The application over fakes, with short ways to ask it."""

    def __init__(
        self,
        *handles: FakeHandle,
        apps: dict[str, AppProxy] | None = None,
        guard: Guard | None = None,
        tenants: dict[str, TenantLimits] | None = None,
    ) -> None:
        self.models = FakeModels(*(handles or default_handles()))
        self.metrics = Metrics()
        self.application = Application(
            self.models,
            metrics=self.metrics,
            expose=lambda tell: tell(*expose(self.metrics)),
            apps=apps or {},
            guard=guard,
            quotas=None if tenants is None else Quotas(tenants, tenants.get("default"), metrics=self.metrics),
        )

    def ask(
        self, method: str, target: str | bytes, body: bytes | str = b"", headers: dict[bytes, bytes] | None = None
    ) -> FakeExchange:
        exchange = FakeExchange(method, target, body.encode() if isinstance(body, str) else body, headers)
        self.application.http(exchange)
        return exchange

    def get(self, target: str | bytes) -> HttpAnswer:
        return self.ask("GET", target).answer

    def post(self, target: str | bytes, body: bytes | str = b"", **headers: str) -> HttpAnswer:
        named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return self.ask("POST", target, body, named).answer

    def call(self, path: str, message: bytes, rpc: FakeRpc | None = None) -> FakeRpc:
        """Call a unary method."""
        rpc = rpc or FakeRpc()
        method = self.application.rpc[path.encode()]
        assert isinstance(method, Unary)
        method.handle(rpc, message)
        return rpc

    def infer(self, message: bytes, rpc: FakeRpc | None = None) -> FakeRpc:
        return self.call("/inference.GRPCInferenceService/ModelInfer", message, rpc)

    def stream(self, path: str) -> tuple[FakeRpc, Any]:
        """Open a streaming method."""
        rpc = FakeRpc()
        method = self.application.rpc[path.encode()]
        assert isinstance(method, Streaming)
        return rpc, method.open(rpc)

    def refused(self) -> dict[str, float]:
        """Refusals by code."""
        family = next(each for each in self.metrics.families if each.name == "shoal_refused_total")
        return {values[0]: child.value for values, child in family.children.items()}


def default_handles() -> list[FakeHandle]:
    """A tabular model, two versions of another, and a text model."""
    return [
        handle("iris", example=EXAMPLE),
        handle("digits", "1"),
        handle("digits", "2"),
        handle("shout", signature=TEXT),
    ]


def v2(shape: list[int] | None = None, data: list[Any] | None = None, **more: Any) -> bytes:
    """A V2 request for the iris model."""
    tensor = {"name": "input-0", "shape": shape or [1, 4], "datatype": "FP32", "data": data or [5.1, 3.5, 1.4, 0.2]}
    return json.dumps({"inputs": [tensor], **more}).encode()


def proto(name: str = "iris", version: str = "", shape: tuple[int, ...] = (1, 4), **more: Any) -> pb.ModelInferRequest:
    """The same as a message."""
    message = pb.ModelInferRequest(model_name=name, model_version=version, **more)
    message.inputs.add(name="input-0", datatype="FP32", shape=shape).contents.fp32_contents.extend([5.1, 3.5, 1.4, 0.2])
    return message
