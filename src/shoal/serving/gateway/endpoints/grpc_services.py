"""All gRPC methods: the inference service here, health and reflection from their own files.

`ModelInfer` is `inference.RpcEndpoint`; the others say what `describe` and `health` say, in protobuf.
"""

from __future__ import annotations

from collections.abc import Callable
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
from shoal.serving.gateway.inference import RpcEndpoint
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.seeking import Seeker

SERVICE = b"/inference.GRPCInferenceService/"
CONFIG_FIELDS = ("name", "platform", "backend", "max_batch_size")


def rpc_methods(
    models: Models,
    refusals: Refusals,
    *,
    health: Health,
    repository: Repository,
    health_service: HealthService,
    seeker: Seeker,
) -> RpcMethods:
    """Path -> method for everything that this server answers over gRPC."""
    service = InferenceService(models, refusals, health, repository, seeker)
    return {
        SERVICE + b"ModelInfer": Unary(RpcEndpoint(models, refusals, seeker)),
        **service.methods(),
        **health_service.methods(),
        **reflection_methods(),
    }


class InferenceService:
    """The methods of `inference.GRPCInferenceService` but `ModelInfer`."""

    def __init__(
        self, models: Models, refusals: Refusals, health: Health, repository: Repository, seeker: Seeker
    ) -> None:
        self._models = models
        self._refusals = refusals
        self._health = health
        self._repository = repository
        self._seeker = seeker

    def methods(self) -> RpcMethods:
        """Path -> method."""
        simple: dict[bytes, tuple[type[Message], Callable[[Any], Message]]] = {
            b"ServerLive": (pb.ServerLiveRequest, lambda _: pb.ServerLiveResponse(live=True)),
            b"ServerReady": (pb.ServerReadyRequest, lambda _: pb.ServerReadyResponse(ready=self._health.ready())),
            b"ModelReady": (pb.ModelReadyRequest, self._model_ready),
            b"ServerMetadata": (pb.ServerMetadataRequest, lambda _: pb.ServerMetadataResponse(**describe.server())),
            b"ModelMetadata": (pb.ModelMetadataRequest, self._metadata),
            b"ModelConfig": (pb.ModelConfigRequest, self._config),
            b"ModelStatistics": (pb.ModelStatisticsRequest, self._statistics),
            b"RepositoryIndex": (pb.RepositoryIndexRequest, self._index),
        }
        return {
            **{SERVICE + name: Unary(self._guarded(kind, self._finish(make))) for name, (kind, make) in simple.items()},
            SERVICE + b"RepositoryModelLoad": Unary(self._guarded(pb.RepositoryModelLoadRequest, self._load)),
            SERVICE + b"RepositoryModelUnload": Unary(self._guarded(pb.RepositoryModelUnloadRequest, self._unload)),
        }

    def _guarded(self, kind: type[Message], answer: Callable[[Rpc, Any], None]) -> Callable[[Rpc, bytes], None]:
        def handle(rpc: Rpc, message: bytes) -> None:
            try:
                self._sought(rpc, _parse(kind, message), answer)
            except ShoalError as error:
                self._refusals.rpc(rpc, error)
            except Exception as error:  # noqa: BLE001 - a bug is answered with INTERNAL and logged with its trace
                self._refusals.rpc(rpc, problems.unexpected(error))

        return handle

    def _sought(self, rpc: Rpc, request: Any, answer: Callable[[Rpc, Any], None]) -> None:
        name = getattr(request, "name", "")
        if not name:
            answer(rpc, request)
            return
        self._seeker.run(
            name, request.version, lambda: answer(rpc, request), lambda error: self._refusals.rpc(rpc, error)
        )

    def _finish(self, make: Callable[[Any], Message]) -> Callable[[Rpc, Any], None]:
        return lambda rpc, request: rpc.finish(make(request).SerializeToString())

    def _model_ready(self, request: pb.ModelReadyRequest) -> Message:
        handle = lookup.find(self._models, request.name, request.version)
        return pb.ModelReadyResponse(ready=handle.state is ModelState.READY)

    def _metadata(self, request: pb.ModelMetadataRequest) -> Message:
        return pb.ModelMetadataResponse(**describe.model(self._models, request.name, request.version))

    def _config(self, request: pb.ModelConfigRequest) -> Message:
        config = describe.config(self._models, request.name, request.version)
        return pb.ModelConfigResponse(config=pb.ModelConfig(**{key: config[key] for key in CONFIG_FIELDS}))

    def _statistics(self, request: pb.ModelStatisticsRequest) -> Message:
        stats = describe.statistics(self._models, request.name, request.version)
        return json_format.ParseDict({"model_stats": stats}, pb.ModelStatisticsResponse(), ignore_unknown_fields=True)

    def _index(self, request: pb.RepositoryIndexRequest) -> Message:
        return pb.RepositoryIndexResponse(models=describe.index(self._models, ready_only=request.ready))

    def _load(self, rpc: Rpc, request: pb.RepositoryModelLoadRequest) -> None:
        parameters = {key: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
                      for key, value in request.parameters.items()}  # fmt: skip
        answer = pb.RepositoryModelLoadResponse().SerializeToString()
        self._repository.load(request.model_name, parameters, *self._outcomes(rpc, answer))

    def _unload(self, rpc: Rpc, request: pb.RepositoryModelUnloadRequest) -> None:
        answer = pb.RepositoryModelUnloadResponse().SerializeToString()
        self._repository.unload(request.model_name, *self._outcomes(rpc, answer))

    def _outcomes(self, rpc: Rpc, answer: bytes) -> tuple[Callable[[], None], Callable[[ShoalError], None]]:
        return lambda: rpc.finish(answer), lambda error: self._refusals.rpc(rpc, error)


def _parse(kind: type[Message], message: bytes) -> Message:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise InvalidInput(f"the message is not a valid {kind.__name__}") from error
