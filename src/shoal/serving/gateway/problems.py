"""The only place where errors of the domain become HTTP statuses and gRPC codes.

    code                          HTTP   gRPC
    invalid_input, config_error    400   INVALID_ARGUMENT
    too_large                      413   RESOURCE_EXHAUSTED
    poison_input                   422   FAILED_PRECONDITION   well-formed, but refused: trying again cannot help
    unauthenticated                401   UNAUTHENTICATED       with WWW-Authenticate
    too_many_attempts              429   RESOURCE_EXHAUSTED    with Retry-After
    permission_denied              403   PERMISSION_DENIED
    quota_exceeded                 429   RESOURCE_EXHAUSTED    with Retry-After, and pushback for gRPC
    not_found                      404   NOT_FOUND
    conflict                       409   ABORTED
    corrupt_artifact               502   DATA_LOSS
    storage_full                   507   RESOURCE_EXHAUSTED
    storage_quota_exceeded         507   RESOURCE_EXHAUSTED    a namespace's own bound, at the control port
    method_not_allowed             405   UNIMPLEMENTED
    unsupported_media_type         415   INVALID_ARGUMENT
    unsupported                    501   UNIMPLEMENTED
    deadline_exceeded              504   DEADLINE_EXCEEDED
    cancelled                      499   CANCELLED
    unavailable, not_ready         503   UNAVAILABLE           with Retry-After, and pushback for gRPC
    overloaded                     503   UNAVAILABLE           the node sheds; 429 is left for a caller's own quota
    model_error, model_contract    502   UNKNOWN               the model's author must look, not the caller
    internal, anything else        500   INTERNAL              a bug of ours, always logged

An HTTP error's body is `{"error": sentence, "code", "hint"?, "field"?, "request_id"}`; a gRPC error carries the same
in `google.rpc.Status` details (`ErrorInfo`, `BadRequest`, `RetryInfo`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from shoal.core._generated import shoal_grpc_pb2 as grpc_pb
from shoal.core.errors import InternalError, InvalidInput, NotFound, ShoalError, Unauthenticated, Unavailable
from shoal.core.metrics import Counter, Family
from shoal.serving.gateway import request_ids
from shoal.serving.gateway.exchange import JSON, Exchange, Headers, Rpc

logger = logging.getLogger(__name__)

DOMAIN = "shoal"
MAX_TEXT = 1024
"""Characters of an error's sentence or hint that are sent; gRPC carries them in headers, which clients limit."""

NOSNIFF = (b"x-content-type-options", b"nosniff")
CHALLENGE = (b"www-authenticate", b'Bearer realm="shoal"')
PAGE_CHALLENGE = (b"www-authenticate", b'Basic realm="shoal: any name, and an API key", charset="UTF-8"')
"""For browsers that open a page: they ask for a name and a password, and send them as `guard.credentials` tells."""


class MethodNotAllowed(NotFound):
    """The path exists, but not for this method."""

    code = "method_not_allowed"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message, hint=f"use {allow}")
        self.allow = allow


class UnsupportedMediaType(InvalidInput):
    code = "unsupported_media_type"


class Outcome(NamedTuple):
    """An error's meaning on the wire."""

    status: int
    grpc: int


INTERNAL = Outcome(500, 13)
OUTCOMES: dict[str, Outcome] = {
    "invalid_input": Outcome(400, 3),
    "config_error": Outcome(400, 3),
    "too_large": Outcome(413, 8),
    "poison_input": Outcome(422, 9),
    "unauthenticated": Outcome(401, 16),
    "too_many_attempts": Outcome(429, 8),
    "permission_denied": Outcome(403, 7),
    "quota_exceeded": Outcome(429, 8),
    "not_found": Outcome(404, 5),
    "conflict": Outcome(409, 10),
    "corrupt_artifact": Outcome(502, 15),
    "storage_full": Outcome(507, 8),
    "storage_quota_exceeded": Outcome(507, 8),
    "method_not_allowed": Outcome(405, 12),
    "unsupported_media_type": Outcome(415, 3),
    "unsupported": Outcome(501, 12),
    "deadline_exceeded": Outcome(504, 4),
    "cancelled": Outcome(499, 1),
    "unavailable": Outcome(503, 14),
    "overloaded": Outcome(503, 14),
    "not_ready": Outcome(503, 14),
    "model_error": Outcome(502, 2),
    "model_contract": Outcome(502, 2),
    "internal": INTERNAL,
}


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of an HTTP error."""

    error: str
    code: str
    request_id: str
    hint: str = ""
    field: str = ""


_encode = msgspec.json.Encoder().encode


def outcome(error: ShoalError) -> Outcome:
    """What the error means on the wire."""
    return OUTCOMES.get(error.code, INTERNAL)


def retry_seconds(error: ShoalError) -> float | None:
    """After how many seconds trying again makes sense; one second if an unavailable model does not say."""
    if error.retry_after is not None:
        return max(error.retry_after, 0.0)
    return 1.0 if isinstance(error, Unavailable) else None


def answer_error(exchange: Exchange, error: ShoalError) -> None:
    """Answer an HTTP request with an error."""
    request_id = request_ids.request_id(exchange.headers)
    _log_bug(error, request_id)
    exchange.on_gone = None
    headers = http_headers(error, request_id)
    if isinstance(error, Unauthenticated) and b"text/html" in exchange.headers.get(b"accept", b""):
        headers = [*headers, PAGE_CHALLENGE]
    exchange.respond(outcome(error).status, http_body(error, request_id), JSON, headers)


def http_body(error: ShoalError, request_id: str) -> bytes:
    """The error as JSON."""
    return _encode(
        Problem(_short(error.message), error.code, request_id, hint=_short(error.hint), field=_short(error.field))
    )


def http_headers(error: ShoalError, request_id: str) -> Headers:
    """The headers that go with it."""
    headers = [(request_ids.HEADER, request_id.encode()), NOSNIFF]
    if (seconds := retry_seconds(error)) is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(seconds))))
    if isinstance(error, Unauthenticated):
        headers.append(CHALLENGE)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    return headers


def fail_rpc(rpc: Rpc, error: ShoalError) -> None:
    """End a gRPC call with an error."""
    request_id = request_ids.request_id(rpc.metadata)
    _log_bug(error, request_id)
    metadata = [(request_ids.HEADER, request_id.encode())]
    if (seconds := retry_seconds(error)) is not None:
        metadata.append((b"grpc-retry-pushback-ms", b"%d" % math.ceil(seconds * 1000)))
    rpc.on_gone = None
    rpc.fail(outcome(error).grpc, _short(error.message), metadata, grpc_details(error, request_id))


def grpc_details(error: ShoalError, request_id: str) -> bytes:
    """The error as an encoded `google.rpc.Status`."""
    status = grpc_pb.Status(code=outcome(error).grpc, message=_short(error.message))
    info = grpc_pb.ErrorInfo(reason=error.code.upper(), domain=DOMAIN, metadata={"request_id": request_id})
    if error.hint:
        info.metadata["hint"] = _short(error.hint)
    _attach(status, "ErrorInfo", info.SerializeToString())
    if error.field:
        violation = grpc_pb.BadRequest.FieldViolation(field=_short(error.field), description=_short(error.message))
        _attach(status, "BadRequest", grpc_pb.BadRequest(field_violations=[violation]).SerializeToString())
    if (seconds := retry_seconds(error)) is not None:
        nanos, whole = math.modf(seconds)
        delay = grpc_pb.RetryInfo.Delay(seconds=int(whole), nanos=int(nanos * 1e9))
        _attach(status, "RetryInfo", grpc_pb.RetryInfo(retry_delay=delay).SerializeToString())
    return bytes(status.SerializeToString())


def _attach(status: grpc_pb.Status, kind: str, value: bytes) -> None:
    status.details.add(type_url=f"type.googleapis.com/google.rpc.{kind}", value=value)


def _short(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _log_bug(error: ShoalError, request_id: str) -> None:
    if outcome(error) is INTERNAL:
        logger.error("internal error", extra={"request_id": request_id, "code": error.code}, exc_info=error)


class Refusals:
    """Answers requests that are refused before a model sees them, and counts them by code (never by a client's text).

    Args:
        refused: the counter family `shoal_refused_total` with the label ``code``.
    """

    def __init__(self, refused: Family[Counter]) -> None:
        self._refused = refused

    def http(self, exchange: Exchange, error: ShoalError) -> None:
        self._count(error)
        answer_error(exchange, error)

    def rpc(self, rpc: Rpc, error: ShoalError) -> None:
        self._count(error)
        fail_rpc(rpc, error)

    def _count(self, error: ShoalError) -> None:
        self._refused.labels(error.code if error.code in OUTCOMES else InternalError.code).inc()


def unexpected(error: Exception) -> InternalError:
    """A bug, as the caller may see it: nothing of its inside is told, the log has it."""
    wrapped = InternalError("the server failed in a way it should not", hint="report it with the request id")
    wrapped.__cause__ = error
    return wrapped


def given_id(headers: Mapping[bytes, bytes]) -> Headers:
    """The `x-request-id` header of a success: only for clients that sent one."""
    value = request_ids.given(headers)
    return () if value is None else ((request_ids.HEADER, value),)
