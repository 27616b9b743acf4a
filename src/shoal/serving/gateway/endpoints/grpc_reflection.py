"""Server reflection, v1 and v1alpha: clients such as grpcurl ask which services there are and what their messages are.

The descriptors come from our own pool; a file is sent with all that it imports, dependencies first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError

from shoal.core._generated import shoal_reflection_pb2 as pb
from shoal.core._generated._pool import POOL
from shoal.core.errors import ShoalError
from shoal.core.ports import Models
from shoal.serving.gateway.exchange import Rpc, RpcMethods, RpcStream, Streaming
from shoal.serving.gateway.guard import needs
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.problems import Refusals

ALPHA = "grpc.reflection.v1alpha.ServerReflection"
SERVICES = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    ALPHA,
    "inference.GRPCInferenceService",
)

INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED = 3, 5, 12


def reflection_methods(models: Models, refusals: Refusals, guard: Guard) -> RpcMethods:
    """Path -> method; `models` are those that the guard may let somebody see."""

    def method(path: bytes) -> Streaming:
        need = needs.rpc(path)

        def open(rpc: Rpc) -> RpcStream:
            try:
                guard.admit(rpc, rpc.metadata, need, models)
            except ShoalError as error:
                refusals.rpc(rpc, error)
                return Refused()
            return Reflection(rpc)

        return Streaming(open)

    paths = (b"/grpc.reflection.v1.ServerReflection/", b"/grpc.reflection.v1alpha.ServerReflection/")
    return {path + b"ServerReflectionInfo": method(path + b"ServerReflectionInfo") for path in paths}


class Refused:
    """A stream that was ended before its first message."""

    def on_message(self, message: bytes) -> None:
        """Nobody reads it."""

    def on_end(self) -> None:
        """It has ended."""


class Reflection:
    """One reflection stream: an answer for each question, in order."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def on_message(self, message: bytes) -> None:
        try:
            request = pb.ServerReflectionRequest.FromString(message)
        except DecodeError:
            self._rpc.fail(INVALID_ARGUMENT, "the message is not a valid ServerReflectionRequest")
            return
        self._rpc.send(answer(request).SerializeToString())

    def on_end(self) -> None:
        self._rpc.end()


def answer(request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    """The response to one question; what is not known is an error inside of it."""
    response = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
    kind = request.WhichOneof("message_request")
    try:
        _ANSWERS[kind](request, response)
    except KeyError:
        code, text = (NOT_FOUND, "not found") if kind in _ANSWERS else (UNIMPLEMENTED, "not offered")
        response.error_response.error_code = code
        response.error_response.error_message = text
    return response


def _file_by_name(request: Any, response: Any) -> None:
    _add_files(POOL.FindFileByName(request.file_by_filename), response)


def _file_by_symbol(request: Any, response: Any) -> None:
    symbol = request.file_containing_symbol
    # v1alpha has the same messages under another package; its service is described by v1's file.
    name = symbol.replace("grpc.reflection.v1alpha.", "grpc.reflection.v1.")
    _add_files(_file_of(name), response)


def _file_of(symbol: str) -> Any:
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        parent, _, method = symbol.rpartition(".")
        service = POOL.FindServiceByName(parent)
        return service.methods_by_name[method].containing_service.file


def _services(request: Any, response: Any) -> None:
    for name in SERVICES:
        response.list_services_response.service.add(name=name)


def _extension_numbers(request: Any, response: Any) -> None:
    POOL.FindMessageTypeByName(request.all_extension_numbers_of_type)
    response.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type


_ANSWERS: dict[str | None, Callable[[Any, Any], None]] = {
    "file_by_filename": _file_by_name,
    "file_containing_symbol": _file_by_symbol,
    "list_services": _services,
    "all_extension_numbers_of_type": _extension_numbers,
}


def _add_files(file: Any, response: Any) -> None:
    seen: dict[str, bytes] = {}
    _collect(file, seen)
    response.file_descriptor_response.file_descriptor_proto.extend(seen.values())


def _collect(file: Any, seen: dict[str, bytes]) -> None:
    for dependency in file.dependencies:
        if dependency.name not in seen:
            _collect(dependency, seen)
    seen[file.name] = file.serialized_pb
