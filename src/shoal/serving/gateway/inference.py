"""The data plane of the gateway: a request for inference becomes a `Call` and is handed to its model.

REST and gRPC do the same, in this order: find the model, peek at the body (never decode it), work out the deadline,
ask whether the tenant has any of its quota left, submit. The answer comes back by a method call of the `Call`, which
writes it to where the request came from. A request that is wrong is refused here, before anything is queued, and
counted by its code; a model that is not ready refuses by itself, as an outcome of the call.

The deadline is the least of: the model's own limit, the V2 parameter `timeout` (µs), the header `x-request-timeout-ms`,
and for gRPC `grpc-timeout`. All count from the request's first byte.

How urgent it is: the less urgent of V2's parameter `priority` and the header `x-shoal-class`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from shoal.core.call import Format
from shoal.core.errors import InvalidInput, NotFound, ShoalError, Unsupported
from shoal.core.ports import ModelHandle, Models
from shoal.serving.gateway import lookup, peek, peek_proto
from shoal.serving.gateway.calls import (
    BINARY,
    CLASS_HEADER,
    HttpCall,
    MeteredHttpCall,
    MeteredRpcCall,
    RpcCall,
    classed,
)
from shoal.serving.gateway.exchange import JSON, Exchange, Rpc
from shoal.serving.gateway.guard import needs
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.naming import HOST, NAMESPACE, Naming
from shoal.serving.gateway.problems import Refusals, UnsupportedMediaType
from shoal.serving.gateway.quotas import Quotas
from shoal.serving.gateway.seeking import Seeker

TIMEOUT_HEADER = b"x-request-timeout-ms"
LENGTH_HEADER = b"inference-header-content-length"

MEMO = 4096
"""Targets that a gRPC call names, remembered by their bytes."""

ASK = needs.rpc(b"/inference.GRPCInferenceService/ModelInfer")

Target = tuple[str, str, int]
"""A model's name, its version, and where the rest of the message begins."""

_MILLISECONDS = re.compile(rb"\d{1,9}(?:\.\d{1,6})?")
_MEDIA_TYPES = {None, JSON, BINARY, b"application/json; charset=utf-8", b"application/json;charset=utf-8"}
_ALIASES = {JSON, BINARY, b"application/x-www-form-urlencoded"}


class HttpEndpoint:
    """What answers POSTs to one model's path in one format; asks for the handle anew with each request.

    `missing` is given the requests that find no model; `quotas` count what tenants ask for, if there are any.
    """

    __slots__ = ("_format", "_guard", "_missing", "_models", "_name", "_peek", "_quotas", "_refusals", "_version")

    def __init__(
        self,
        models: Models,
        refusals: Refusals,
        guard: Guard,
        quotas: Quotas | None,
        name: str,
        version: str,
        format: Format,
        missing: Callable[[Exchange], None],
    ) -> None:
        self._models = models
        self._refusals = refusals
        self._guard = guard
        self._quotas = quotas
        self._name = name
        self._version = version
        self._format = format
        self._missing = missing
        self._peek = _PEEKS[format]

    def __call__(self, exchange: Exchange) -> None:
        """Submit the request, or refuse it."""
        tenant, guard = "", self._guard
        if guard.on:
            try:
                tenant = guard.tenant(exchange, exchange.headers, self._name)
            except ShoalError as error:
                self._refusals.http(exchange, error)
                return
        try:
            self._submit(exchange, self._models.find(self._name, self._version), tenant)
        except NotFound:
            self._missing(exchange)
        except ShoalError as error:
            self._refusals.http(exchange, error)

    def _submit(self, exchange: Exchange, handle: ModelHandle, tenant: str) -> None:
        headers = exchange.headers
        if headers.get(b"content-type") not in _MEDIA_TYPES:
            check_media_type(headers, _ALIASES)
        json_length = -1
        if LENGTH_HEADER in headers:
            json_length = _json_length(headers[LENGTH_HEADER], exchange.body, self._format)
        seen = self._peek(exchange.body, json_length)
        seconds = handle.spec.limits.timeout_seconds
        if seen.timeout or TIMEOUT_HEADER in headers:
            seconds = least_timeout(seconds, seen.timeout, headers)
        if CLASS_HEADER in headers:
            seen = classed(seen, headers[CLASS_HEADER])
        dispatch = handle.dispatch
        if self._quotas is None:
            dispatch.submit(HttpCall(self._format, exchange, dispatch, seconds, json_length, seen, tenant))
            return
        meter = self._quotas.enter(tenant, seen.rows, exchange.arrived)
        call = MeteredHttpCall(self._format, exchange, dispatch, seconds, json_length, seen, tenant)
        call.meter = meter
        dispatch.submit(call)


class RpcEndpoint:
    """What answers `ModelInfer`."""

    def __init__(
        self,
        models: Models,
        refusals: Refusals,
        seeker: Seeker,
        guard: Guard,
        quotas: Quotas | None,
        naming: Naming,
    ) -> None:
        self._models = models
        self._refusals = refusals
        self._seeker = seeker
        self._guard = guard
        self._quotas = quotas
        self._naming = naming
        self._known: dict[bytes, Target] = {}
        self._peeks = peek_proto.Peeks()

    def __call__(self, rpc: Rpc, message: bytes) -> None:
        """Submit the request, or refuse it."""
        try:
            known = self._recall(rpc, message)
            target = known or self._read(rpc, message)
            tenant = self._guard.tenant(rpc, rpc.metadata, target[0]) if self._guard.on else ""
        except ShoalError as error:
            self._refusals.rpc(rpc, error)
            return
        try:
            handle = self._models.find(target[0], target[1])
            if known is None:
                self._remember(rpc, message, target)
            self._submit(rpc, message, target[2], handle, tenant)
        except NotFound:
            self._seek(rpc, message, target, tenant)
        except ShoalError as error:
            self._refusals.rpc(rpc, error)

    def _seek(self, rpc: Rpc, message: bytes, target: Target, tenant: str) -> None:
        name, version, at = target

        def attempt() -> None:
            self._submit(rpc, message, at, lookup.find(models, name, version), tenant)

        def fail(error: ShoalError) -> None:
            self._refusals.rpc(rpc, error)

        try:
            models = self._guard.admit(rpc, rpc.metadata, ASK, self._models, name)
            self._seeker.run(models, name, version, attempt, fail)
        except ShoalError as error:
            fail(error)

    def _recall(self, rpc: Rpc, message: bytes) -> Target | None:
        """What the message asks, if a model of that name was found before: names are remembered by their bytes."""
        prefix = message[: message[1] + 2] if len(message) > 1 else message
        if self._naming.domain or NAMESPACE in rpc.metadata:
            prefix = _placed(rpc) + prefix
        known = self._known.get(prefix)
        return known if known is not None and message[known[2] : known[2] + 1] != b"\x12" else None

    def _read(self, rpc: Rpc, message: bytes) -> Target:
        if self._guard.on:  # nothing is parsed for nobody
            self._guard.who(rpc, rpc.metadata)
        if not self._naming.domain and NAMESPACE not in rpc.metadata:
            return peek_proto.model(message)
        name, version, at = peek_proto.model(message, self._naming.name("", rpc.metadata))
        return self._naming.name(name, rpc.metadata), version, at

    def _remember(self, rpc: Rpc, message: bytes, target: Target) -> None:
        if target[1] or target[2] != message[1] + 2 or len(self._known) >= MEMO:
            return
        placed = _placed(rpc) if self._naming.domain or NAMESPACE in rpc.metadata else b""
        self._known[placed + message[: target[2]]] = target

    def _submit(self, rpc: Rpc, message: bytes, at: int, handle: ModelHandle, tenant: str) -> None:
        seen = self._peeks.request(message, at)
        seconds = handle.spec.limits.timeout_seconds
        if seen.timeout or TIMEOUT_HEADER in rpc.metadata:
            seconds = least_timeout(seconds, seen.timeout, rpc.metadata)
        deadline = rpc.arrived + seconds
        if rpc.deadline is not None and rpc.deadline < deadline:
            deadline = rpc.deadline
        if CLASS_HEADER in rpc.metadata:
            seen = classed(seen, rpc.metadata[CLASS_HEADER])
        dispatch = handle.dispatch
        if self._quotas is None:
            dispatch.submit(RpcCall(rpc, message, dispatch, deadline, seen, tenant))
            return
        meter = self._quotas.enter(tenant, seen.rows, rpc.arrived)
        call = MeteredRpcCall(rpc, message, dispatch, deadline, seen, tenant)
        call.meter = meter
        dispatch.submit(call)


def _placed(rpc: Rpc) -> bytes:
    """What besides the name says which model is meant; begins as no message does."""
    return b"\0%b\0%b\0" % (rpc.metadata.get(HOST, b""), rpc.metadata.get(NAMESPACE, b""))


def least_timeout(seconds: float, microseconds: int, headers: Mapping[bytes, bytes]) -> float:
    """The least of the model's limit, V2's parameter (0: none) and the header.

    Raises:
        InvalidInput: the header is not a number.
    """
    if microseconds:
        seconds = min(seconds, microseconds / 1e6)
    text = headers.get(TIMEOUT_HEADER)
    if text is None:
        return seconds
    if not _MILLISECONDS.fullmatch(text):
        raise InvalidInput("x-request-timeout-ms is not a number of milliseconds", field="x-request-timeout-ms")
    return min(seconds, float(text) / 1e3)


def check_media_type(headers: Mapping[bytes, bytes], allowed: set[bytes] | None = None) -> None:
    """Refuse a body that says it is something else; saying nothing is fine.

    Raises:
        UnsupportedMediaType: neither JSON nor (by default) anything else.
    """
    value = headers.get(b"content-type")
    if value is None:
        return
    kind = value.partition(b";")[0].strip().lower()
    if kind not in (allowed or {JSON}) and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise UnsupportedMediaType(
            f"the content type {value[:80].decode('latin-1')!a} is not understood here",
            hint="send `Content-Type: application/json`",
            field="content-type",
        )


def _json_length(text: bytes, body: peek.Body, format: Format) -> int:
    if format is not Format.V2_JSON:
        raise Unsupported("binary tensors exist in V2 requests only", field="Inference-Header-Content-Length")
    if not (text.isdigit() and len(text) < 12):
        raise InvalidInput("the length is not a number of bytes", field="Inference-Header-Content-Length")
    length = int(text)
    if length > len(body):
        raise InvalidInput("the length is beyond the end of the body", field="Inference-Header-Content-Length")
    return length


_PEEKS: dict[Format, Callable[[peek.Body, int], peek.Peek]] = {
    Format.V2_JSON: peek.v2,
    Format.V1_JSON: lambda body, _: peek.v1(body),
    Format.PREDICT_ALL: lambda body, _: peek.texts(body),
}
