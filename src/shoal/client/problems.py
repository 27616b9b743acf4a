"""Errors on the wire, read back as `shoal.core.errors`: the mirror image of the gateway's table.

A Shoal server says its stable code, a hint, the field and the request id besides the sentence; of any other server the
status alone decides. What the code says wins over the status.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.message import DecodeError

from shoal.client.operations import Reply
from shoal.core._generated.shoal_grpc_pb2 import BadRequest, ErrorInfo, RetryInfo, Status
from shoal.core.errors import (
    Cancelled,
    DeadlineExceeded,
    ErrorRecord,
    InternalError,
    InvalidInput,
    ModelError,
    NotFound,
    NotReady,
    Overloaded,
    PermissionDenied,
    ShoalError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from shoal.core.wire import grpc as wire

HTTP: dict[int, type[ShoalError]] = {
    400: InvalidInput, 401: Unauthenticated, 403: PermissionDenied, 404: NotFound, 405: Unsupported,
    408: DeadlineExceeded, 409: NotReady, 413: TooLarge, 415: Unsupported, 422: InvalidInput, 424: ModelError,
    429: Overloaded, 499: Cancelled, 500: InternalError, 501: Unsupported, 502: ModelError, 503: Unavailable,
    504: DeadlineExceeded,
}  # fmt: skip
"""What an HTTP status means when the body does not say more."""

GRPC: dict[int, type[ShoalError]] = {
    1: Cancelled, 2: ModelError, 3: InvalidInput, 4: DeadlineExceeded, 5: NotFound, 7: PermissionDenied,
    8: Overloaded, 9: NotReady, 11: InvalidInput, 12: Unsupported, 13: InternalError, 14: Unavailable,
    16: Unauthenticated,
}  # fmt: skip
"""What a gRPC status means when the details do not say more."""


def from_http(reply: Reply) -> ShoalError:
    """The error that a reply with a status of 400 or more tells of."""
    body = _json(reply.body)
    text = body.get("error") or reply.body[:200].decode(errors="replace").strip()
    kind = HTTP.get(reply.status) or (InternalError if reply.status >= 500 else InvalidInput)
    error = _error(
        kind,
        str(body.get("code", "")),
        str(text or f"the server answered {reply.status}"),
        hint=str(body.get("hint") or ""),
        field=str(body.get("field") or ""),
        retry_after=_number(reply.headers.get(b"retry-after")),
    )
    error.request_id = str(body.get("request_id") or "") or _text(reply.headers, b"x-request-id")
    return error


def from_grpc(reply: Reply) -> ShoalError | None:
    """The error that the trailers of a gRPC reply tell of, or None for status OK."""
    if b"grpc-status" not in reply.headers:
        return from_http(reply) if reply.status >= 400 else InternalError("the server sent no gRPC status")
    status = int(_number(reply.headers[b"grpc-status"]) or 0)
    if status == 0:
        return None
    message = wire.decode_text(reply.headers.get(b"grpc-message", b""))
    details = _details(reply.headers.get(b"grpc-status-details-bin", b""))
    pushback = _number(reply.headers.get(b"grpc-retry-pushback-ms"))
    error = _error(
        GRPC.get(status, InternalError),
        details.get("code", ""),
        message or f"the server answered with gRPC status {status}",
        hint=details.get("hint", ""),
        field=details.get("field", ""),
        retry_after=_number(details.get("retry_after")) if pushback is None else pushback / 1000,
    )
    error.request_id = details.get("request_id", "") or _text(reply.headers, b"x-request-id")
    return error


def _error(
    kind: type[ShoalError], code: str, message: str, *, hint: str, field: str, retry_after: float | None
) -> ShoalError:
    told = ErrorRecord(code, message, hint, field, retry_after).to_error()
    known = type(told) is not InternalError or code == InternalError.code
    return told if known else kind(message, hint=hint, field=field, retry_after=retry_after)


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _details(encoded: bytes) -> dict[str, str]:
    try:
        status = Status.FromString(wire.decode_binary(encoded))
    except (wire.RpcFault, DecodeError):
        return {}
    found: dict[str, str] = {}
    for detail in status.details:
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        if detail.Unpack(info):
            found |= dict(info.metadata) | {"code": info.reason.lower()}
        elif detail.Unpack(bad) and bad.field_violations:
            found["field"] = bad.field_violations[0].field
        elif detail.Unpack(retry):
            found["retry_after"] = str(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
    return found


def _number(value: bytes | str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _text(headers: dict[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("ascii", "replace")
