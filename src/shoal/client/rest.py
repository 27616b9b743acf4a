"""The V2 REST dialect: operations as JSON (and binary tensors) over HTTP/2. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from shoal.client.operations import (
    Headers,
    ModelEntry,
    Operation,
    Outgoing,
    PartialFailure,
    Reply,
    ServerMetadata,
    Statistics,
)
from shoal.client.problems import from_http
from shoal.core.errors import InternalError, NotReady, ShoalError, Unavailable
from shoal.core.types import InferenceRequest, InferenceResponse, ModelMetadata, Signature, TensorSpec
from shoal.core.wire import predict_all, v2_binary, v2_json

T = TypeVar("T")


class _ModelJson(msgspec.Struct):
    """Metadata of a model as it is written."""

    name: str
    platform: str = ""
    versions: tuple[str, ...] | None = None
    inputs: tuple[TensorSpec, ...] | None = None
    outputs: tuple[TensorSpec, ...] | None = None

    def metadata(self) -> ModelMetadata:
        """The same as a noun."""
        signature = Signature(self.inputs or (), self.outputs or ())
        return ModelMetadata(self.name, self.versions or (), self.platform, signature)


class _StatisticsJson(msgspec.Struct):
    """Statistics as they are written."""

    model_stats: list[dict[str, Any]]


_LENGTH = b"inference-header-content-length"
_JSON: Headers = ((b"content-type", b"application/json"),)


class RestDialect:
    """See `operations.Dialect`.

    Args:
        prefix: path in front of ``/v2``, without a slash at its end.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def headers(self, timeout: float) -> Headers:
        """None: over REST the deadline travels as the request's `timeout` parameter; in a `predict_all`, which has no
        parameters, as a header of its own."""
        return ()

    def check(self, reply: Reply) -> None:
        if reply.status >= 400:
            raise from_http(reply)

    def live(self) -> Operation[bool]:
        return self._get("/v2/health/live", lambda reply: True)

    def ready(self, model: str, version: str) -> Operation[bool]:
        path = f"{_model(model, version)}/ready" if model else "/v2/health/ready"
        return Operation(self._outgoing(b"GET", path), _ready)

    def server_metadata(self) -> Operation[ServerMetadata]:
        return self._get("/v2", lambda reply: _read(reply, ServerMetadata))

    def metadata(self, model: str, version: str) -> Operation[ModelMetadata]:
        return self._get(_model(model, version), lambda reply: _read(reply, _ModelJson).metadata())

    def index(self) -> Operation[list[ModelEntry]]:
        return Operation(
            self._outgoing(b"POST", "/v2/repository/index", b"{}"),
            _checked(lambda reply: _read(reply, list[ModelEntry])),
        )

    def load(self, model: str, config: str | None) -> Operation[None]:
        body = {} if config is None else {"parameters": {"config": config}}
        return self._change(model, "load", body)

    def unload(self, model: str) -> Operation[None]:
        return self._change(model, "unload", {})

    def statistics(self, model: str, version: str) -> Operation[Statistics]:
        path = f"{_model(model, version)}/stats" if model else "/v2/models/stats"
        return self._get(path, lambda reply: _read(reply, _StatisticsJson).model_stats)

    def infer(
        self, request: InferenceRequest, *, timeout: float, binary: bool, pure: bool
    ) -> Operation[InferenceResponse]:
        limit = {"timeout": max(1, round(timeout * 1e6))}
        request = dataclasses.replace(request, parameters=limit | (request.parameters or {}))
        headers = _JSON
        if binary:
            body, length = v2_binary.encode_request(request)
            headers = ((b"content-type", b"application/octet-stream"), (_LENGTH, b"%d" % length))
        else:
            body = v2_json.encode_request(request, special=True)
        path = f"{_model(request.model_name, request.model_version or '')}/infer"
        return Operation(self._outgoing(b"POST", path, body, headers), _checked(_response), pure)

    def predict_all(
        self, model: str, version: str, inputs: list[str], *, timeout: float, pure: bool
    ) -> Operation[list[str]]:
        body = predict_all.encode_request(inputs)
        limit = (b"x-request-timeout-ms", b"%d" % max(1, round(timeout * 1000)))
        outgoing = self._outgoing(b"POST", f"{_model(model, version)}/predict_all", body, (*_JSON, limit))
        return Operation(outgoing, _texts, pure)

    def example(self, model: str) -> Operation[bytes | None]:
        """The request that the server's documentation of the model shows, as V2 JSON; None if there is none."""
        return self._get(f"{_model(model, '')}/openapi.json", lambda reply: _example(_read(reply, dict[str, Any])))

    def _get(self, path: str, decode: Callable[[Reply], T]) -> Operation[T]:
        return Operation(self._outgoing(b"GET", path), _checked(decode))

    def _change(self, model: str, verb: str, body: dict[str, Any]) -> Operation[None]:
        path = f"/v2/repository/models/{quote(model, safe='')}/{verb}"
        return Operation(self._outgoing(b"POST", path, json.dumps(body).encode()), _checked(lambda reply: None), False)

    def _outgoing(self, method: bytes, path: str, body: bytes = b"", headers: Headers = _JSON) -> Outgoing:
        return Outgoing(method, (self._prefix + path).encode(), headers if body else (), body)


def _model(model: str, version: str) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def _checked(decode: Callable[[Reply], T]) -> Callable[[Reply], T]:
    def checked(reply: Reply) -> T:
        if reply.status >= 400:
            raise from_http(reply)
        try:
            return decode(reply)
        except (ShoalError, msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InternalError(
                "the server's answer is not what the V2 protocol promises",
                hint="is this the address of a model server?",
            ) from error

    return checked


def _ready(reply: Reply) -> bool:
    """Servers say "not ready" by different statuses (400, 503); an unknown model stays an error."""
    if reply.status < 400:
        return True
    error = from_http(reply)
    if isinstance(error, NotReady | Unavailable) or reply.status == 400:
        return False
    raise error


def _read(reply: Reply, kind: type[T]) -> T:
    return msgspec.json.decode(reply.body, type=kind)


def _response(reply: Reply) -> InferenceResponse:
    length = reply.headers.get(_LENGTH)
    return v2_json.decode_response(reply.body) if length is None else v2_binary.decode_response(reply.body, int(length))


def _texts(reply: Reply) -> list[str]:
    outputs, errors = _checked(lambda answer: predict_all.decode_response(answer.body))(reply)
    if errors:
        raise PartialFailure(outputs, {int(index): reason for index, reason in errors.items()})
    return [text or "" for text in outputs]


def _example(document: dict[str, Any]) -> bytes | None:
    for path, item in document.get("paths", {}).items():
        if path.endswith("/infer"):
            media = item["post"]["requestBody"]["content"]["application/json"]
            found = media.get("example") or next(
                (each.get("value") for each in media.get("examples", {}).values()), None
            )
            return None if found is None else json.dumps(found).encode()
    return None
