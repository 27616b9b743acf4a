"""All gRPC methods: the inference service here, health and reflection from their own files.

`ModelInfer` is `inference.RpcEndpoint`; the others say what `describe` and `health` say, in protobuf.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput, ShoalError
from shoal.core.model import ModelState
from shoal.core.ports import Models
from shoal.serving.gateway import lookup, problems
from shoal.serving.gateway.endpoints import describe
from shoal.serving.gateway.endpoints.grpc_health import HealthService
from shoal.serving.gateway.endpoints.grpc_reflection import reflection_methods
from shoal.serving.gateway.endpoints.health import Health
from shoal.serving.gateway.endpoints.repository import Repository
from shoal.serving.gateway.exchange import Rpc, RpcMethods, Unary
from shoal.serving.gateway.guard import needs
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.inference import RpcEndpoint
from shoal.serving.gateway.naming import Naming
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.quotas import Quotas
from shoal.serving.gateway.seeking import Seeker

SERVICE = b"/inference.GRPCInferenceService/"
CONFIG_FIELDS = ("name", "platform", "backend", "max_batch_size")

Make = Callable[[Any, Models], Message]
"""From a request, and the models that whoever asks may see, to the response."""
Answer = Callable[[Rpc, Any, Models], None]


def rpc_methods(
    models: Models,
    refusals: Refusals,
    *,
    health: Health,
    repository: Repository,
    health_service: HealthService,
    seeker: Seeker,
    guard: Guard,
    quotas: Quotas | None,
    naming: Naming,
) -> RpcMethods:
    """Path -> method for everything that this server answers over gRPC."""
    service = InferenceService(models, refusals, health, repository, seeker, guard, naming)
    return {
        SERVICE + b"ModelInfer": Unary(RpcEndpoint(models, refusals, seeker, guard, quotas, naming)),
        **service.methods(),
        **health_service.methods(),
        **reflection_methods(models, refusals, guard),
    }


class InferenceService:
    """The methods of `inference.GRPCInferenceService` but `ModelInfer`."""

    def __init__(
        self,
        models: Models,
        refusals: Refusals,
        health: Health,
        repository: Repository,
        seeker: Seeker,
        guard: Guard,
        naming: Naming,
    ) -> None:
        self._models = models
        self._refusals = refusals
        self._health = health
        self._repository = repository
        self._seeker = seeker
        self._guard = guard
        self._naming = naming

    def methods(self) -> RpcMethods:
        """Path -> method."""
        live, server = pb.ServerLiveResponse(live=True), pb.ServerMetadataResponse(**describe.server())
        simple: dict[bytes, tuple[type[Message], Make]] = {
            b"ServerLive": (pb.ServerLiveRequest, lambda _, __: live),
            b"ServerReady": (pb.ServerReadyRequest, lambda _, __: pb.ServerReadyResponse(ready=self._health.ready())),
            b"ModelReady": (pb.ModelReadyRequest, _model_ready),
            b"ServerMetadata": (pb.ServerMetadataRequest, lambda _, __: server),
            b"ModelMetadata": (pb.ModelMetadataRequest, _metadata),
            b"ModelConfig": (pb.ModelConfigRequest, _config),
            b"RepositoryIndex": (pb.RepositoryIndexRequest, _index),
        }
        later: dict[bytes, tuple[type[Message], Answer]] = {
            b"ModelStatistics": (pb.ModelStatisticsRequest, self._statistics),
            b"RepositoryModelLoad": (pb.RepositoryModelLoadRequest, self._load),
            b"RepositoryModelUnload": (pb.RepositoryModelUnloadRequest, self._unload),
        }
        return {
            **{SERVICE + name: self._method(name, kind, _finish(make)) for name, (kind, make) in simple.items()},
            **{SERVICE + name: self._method(name, kind, answer) for name, (kind, answer) in later.items()},
        }

    def _method(self, name: bytes, kind: type[Message], answer: Answer) -> Unary:
        need = needs.rpc(SERVICE + name)

        def handle(rpc: Rpc, message: bytes) -> None:
            try:
                if self._guard.on and need != needs.OPEN:  # nothing is parsed for nobody
                    self._guard.who(rpc, rpc.metadata)
                request: Any = _parse(kind, message)
                about = self._name(rpc, request)
                models = self._guard.admit(rpc, rpc.metadata, need, self._models, about)
                self._sought(rpc, request, models, answer)
            except ShoalError as error:
                self._refusals.rpc(rpc, error)
            except Exception as error:  # noqa: BLE001 - a bug is answered with INTERNAL and logged with its trace
                self._refusals.rpc(rpc, problems.unexpected(error))

        return Unary(handle)

    def _name(self, rpc: Rpc, request: Any) -> str:
        """The address of the model that a request is about, written into it; "" for none."""
        field = next((each for each in ("name", "model_name") if hasattr(request, each)), "")
        if not field:
            return ""
        name = self._naming.name(getattr(request, field), rpc.metadata)
        setattr(request, field, name)
        return name

    def _sought(self, rpc: Rpc, request: Any, models: Models, answer: Answer) -> None:
        name = getattr(request, "name", "")
        if not name:
            answer(rpc, request, models)
            return
        self._seeker.run(
            models,
            name,
            request.version,
            lambda: answer(rpc, request, models),
            lambda error: self._refusals.rpc(rpc, error),
        )

    def _statistics(self, rpc: Rpc, request: pb.ModelStatisticsRequest, models: Models) -> None:
        name, version = request.name, request.version

        def tell() -> None:
            stats = {"model_stats": describe.statistics(models, name, version)}
            answer = json_format.ParseDict(stats, pb.ModelStatisticsResponse(), ignore_unknown_fields=True)
            rpc.finish(answer.SerializeToString())

        if name:
            self._seeker.measure(models, name, version, tell, partial(self._refusals.rpc, rpc))
        else:
            tell()

    def _load(self, rpc: Rpc, request: pb.RepositoryModelLoadRequest, models: Models) -> None:
        parameters = {key: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
                      for key, value in request.parameters.items()}  # fmt: skip
        answer = pb.RepositoryModelLoadResponse().SerializeToString()
        self._repository.load(models, request.model_name, parameters, *self._outcomes(rpc, answer))

    def _unload(self, rpc: Rpc, request: pb.RepositoryModelUnloadRequest, models: Models) -> None:
        answer = pb.RepositoryModelUnloadResponse().SerializeToString()
        self._repository.unload(models, request.model_name, *self._outcomes(rpc, answer))

    def _outcomes(self, rpc: Rpc, answer: bytes) -> tuple[Callable[[], None], Callable[[ShoalError], None]]:
        return lambda: rpc.finish(answer), lambda error: self._refusals.rpc(rpc, error)


def _parse(kind: type[Message], message: bytes) -> Message:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise InvalidInput(f"the message is not a valid {kind.__name__}") from error


def _finish(make: Make) -> Answer:
    return lambda rpc, request, models: rpc.finish(make(request, models).SerializeToString())


def _model_ready(request: pb.ModelReadyRequest, models: Models) -> Message:
    handle = lookup.find(models, request.name, request.version)
    return pb.ModelReadyResponse(ready=handle.state is ModelState.READY)


def _metadata(request: pb.ModelMetadataRequest, models: Models) -> Message:
    return pb.ModelMetadataResponse(**describe.model(models, request.name, request.version))


def _config(request: pb.ModelConfigRequest, models: Models) -> Message:
    config = describe.config(models, request.name, request.version)
    return pb.ModelConfigResponse(config=pb.ModelConfig(**{key: config[key] for key in CONFIG_FIELDS}))


def _index(request: pb.RepositoryIndexRequest, models: Models) -> Message:
    return pb.RepositoryIndexResponse(models=describe.index(models, ready_only=request.ready))
