"""The V2 gRPC dialect: operations as `inference.GRPCInferenceService` messages over HTTP/2. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from shoal.client.inputs import DEFAULT_NAME, texts
from shoal.client.operations import (
    Headers,
    ModelEntry,
    Operation,
    Outgoing,
    Reply,
    ServerMetadata,
    Statistics,
)
from shoal.client.problems import from_grpc
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InternalError, NotReady, ShoalError, Unavailable
from shoal.core.tensors import bytes_array, from_array
from shoal.core.types import InferenceRequest, InferenceResponse, ModelMetadata, Signature, TensorSpec
from shoal.core.wire import grpc as wire
from shoal.core.wire import v2_proto

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MAX_MESSAGE = 1 << 31
"""Bytes of an answer after inflating; the link bounds what comes in."""

_HEADERS: Headers = ((b"content-type", b"application/grpc"), (b"te", b"trailers"))


class GrpcDialect:
    """See `operations.Dialect`."""

    def headers(self, timeout: float) -> Headers:
        return ((b"grpc-timeout", wire.format_timeout(_three_digits(timeout))),)

    def check(self, reply: Reply) -> None:
        if (error := from_grpc(reply)) is not None:
            raise error

    def live(self) -> Operation[bool]:
        return _call("ServerLive", pb.ServerLiveRequest(), pb.ServerLiveResponse, lambda answer: answer.live)

    def ready(self, model: str, version: str) -> Operation[bool]:
        if not model:
            return _ready("ServerReady", pb.ServerReadyRequest(), pb.ServerReadyResponse)
        return _ready("ModelReady", pb.ModelReadyRequest(name=model, version=version), pb.ModelReadyResponse)

    def server_metadata(self) -> Operation[ServerMetadata]:
        return _call(
            "ServerMetadata",
            pb.ServerMetadataRequest(),
            pb.ServerMetadataResponse,
            lambda answer: ServerMetadata(answer.name, answer.version, tuple(answer.extensions)),
        )

    def metadata(self, model: str, version: str) -> Operation[ModelMetadata]:
        request = pb.ModelMetadataRequest(name=model, version=version)
        return _call("ModelMetadata", request, pb.ModelMetadataResponse, _model_metadata)

    def index(self) -> Operation[list[ModelEntry]]:
        return _call(
            "RepositoryIndex",
            pb.RepositoryIndexRequest(),
            pb.RepositoryIndexResponse,
            lambda answer: [ModelEntry(each.name, each.version, each.state, each.reason) for each in answer.models],
        )

    def load(self, model: str, config: str | None) -> Operation[None]:
        request = pb.RepositoryModelLoadRequest(model_name=model)
        if config is not None:
            request.parameters["config"].string_param = config
        return _call("RepositoryModelLoad", request, pb.RepositoryModelLoadResponse, _nothing, pure=False)

    def unload(self, model: str) -> Operation[None]:
        request = pb.RepositoryModelUnloadRequest(model_name=model)
        return _call("RepositoryModelUnload", request, pb.RepositoryModelUnloadResponse, _nothing, pure=False)

    def statistics(self, model: str, version: str) -> Operation[Statistics]:
        request = pb.ModelStatisticsRequest(name=model, version=version)
        return _call(
            "ModelStatistics",
            request,
            pb.ModelStatisticsResponse,
            lambda answer: [_record(each) for each in answer.model_stats],
        )

    def infer(
        self, request: InferenceRequest, *, timeout: float, binary: bool, pure: bool
    ) -> Operation[InferenceResponse]:
        message = v2_proto.encode_request(request, raw=binary)
        return Operation(_outgoing("ModelInfer", message), _decoder(v2_proto.decode_response), pure)

    def predict_all(
        self, model: str, version: str, inputs: list[str], *, timeout: float, pure: bool
    ) -> Operation[list[str]]:
        tensor = from_array(DEFAULT_NAME, bytes_array(inputs))
        request = InferenceRequest([tensor], model_name=model, model_version=version or None)
        operation = self.infer(request, timeout=timeout, binary=True, pure=pure)
        return Operation(operation.outgoing, lambda reply: texts(operation.decode(reply)), pure)


def _three_digits(seconds: float) -> float:
    """Rounded up to three digits, so that calls with the same timeout send the same headers, which servers remember.

    The exact deadline is kept on this side.
    """
    step = 10.0 ** (math.floor(math.log10(seconds)) - 2)
    return round(math.ceil(seconds / step - 1e-9) * step, 9)


def _call(
    method: str, request: Message, kind: type[M], convert: Callable[[M], T], *, pure: bool = True
) -> Operation[T]:
    outgoing = _outgoing(method, request.SerializeToString())
    return Operation(outgoing, _decoder(lambda message: convert(kind.FromString(message))), pure)


def _outgoing(method: str, message: bytes) -> Outgoing:
    path = b"/inference.GRPCInferenceService/" + method.encode()
    return Outgoing(b"POST", path, _HEADERS, wire.prefix(len(message)) + message)


def _decoder(convert: Callable[[bytes], T]) -> Callable[[Reply], T]:
    def decode(reply: Reply) -> T:
        if (error := from_grpc(reply)) is not None:
            raise error
        try:
            return convert(_message(reply))
        except (DecodeError, ShoalError, ValueError, wire.RpcFault) as failure:
            raise InternalError("the server's answer is not a message of the V2 protocol") from failure

    return decode


def _message(reply: Reply) -> bytes:
    """The one message of a unary answer."""
    if len(reply.body) < wire.PREFIX_SIZE:
        raise ValueError("no message")
    compressed, length = wire.PREFIX.unpack_from(reply.body)
    message = reply.body[wire.PREFIX_SIZE :]
    if len(message) != length:
        raise ValueError("not one whole message")
    return wire.inflate(message, MAX_MESSAGE) if compressed else message


def _ready(method: str, request: Message, kind: type[Any]) -> Operation[bool]:
    """A server that says that it is not ready by a status, rather than by the message, says the same."""
    operation = _call(method, request, kind, lambda answer: bool(answer.ready))

    def decode(reply: Reply) -> bool:
        try:
            return operation.decode(reply)
        except (NotReady, Unavailable):
            return False

    return Operation(operation.outgoing, decode)


def _nothing(_: Message) -> None:
    return None


def _model_metadata(answer: pb.ModelMetadataResponse) -> ModelMetadata:
    signature = Signature(_specs(answer.inputs), _specs(answer.outputs))
    return ModelMetadata(answer.name, tuple(answer.versions), answer.platform, signature)


def _specs(tensors: Any) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(each.name, each.datatype, tuple(each.shape)) for each in tensors)


def _record(message: Message) -> dict[str, Any]:
    """A message as plain values under its field names, as the REST answer has them."""
    return {field.name: _value(field, getattr(message, field.name)) for field in message.DESCRIPTOR.fields}


def _value(field: Any, value: Any) -> Any:
    if field.message_type is None:
        return value
    return [_record(each) for each in value] if field.is_repeated else _record(value)
