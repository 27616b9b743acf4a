"""The only place of the control API where errors of the domain become HTTP statuses.

The statuses are those of the data port, code by code, and three more that only a control port can meet:

    misdirected              421   the Host header names nobody who lives here (DNS rebinding)
    too_many_attempts        429   keys that are not right came again and again
    idempotency_key_reused   422   an `Idempotency-Key` came again with another request

A body is ``{"error", "code", "hint", "field", "request_id"}``; texts are bounded.
"""

from __future__ import annotations

import logging
import math

import msgspec
from starlette.responses import Response

from shoal.core.errors import InternalError, InvalidInput, NotFound, PermissionDenied, ShoalError, Unavailable

logger = logging.getLogger(__name__)

MAX_TEXT = 2048
PAGE_CHALLENGE = 'Basic realm="shoal control: any name, and an API key", charset="UTF-8"'
STATUSES: dict[str, int] = {
    "invalid_input": 400,
    "config_error": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "misdirected": 421,
    "quota_exceeded": 429,
    "too_many_attempts": 429,
    "idempotency_key_reused": 422,
    "poison_input": 422,
    "cancelled": 499,
    "internal": 500,
    "unsupported": 501,
    "corrupt_artifact": 502,
    "model_error": 502,
    "model_contract": 502,
    "unavailable": 503,
    "overloaded": 503,
    "not_ready": 503,
    "deadline_exceeded": 504,
    "storage_full": 507,
    "storage_quota_exceeded": 507,
}


class MethodNotAllowed(NotFound):
    code = "method_not_allowed"


class Misdirected(PermissionDenied):
    code = "misdirected"


class KeyReused(InvalidInput):
    code = "idempotency_key_reused"


class Problem(msgspec.Struct, frozen=True):
    """The body of an error."""

    error: str
    code: str
    hint: str
    field: str
    request_id: str


def status_of(error: ShoalError) -> int:
    """The HTTP status of an error."""
    return STATUSES.get(error.code, 500)


def to_response(error: ShoalError, request_id: str, *, page: bool = False) -> Response:
    """The answer that tells of an error; a bug of ours is also logged.

    Args:
        error: what went wrong.
        request_id: of the request.
        page: whether a browser that opens a page is to ask for a key.
    """
    status = status_of(error)
    if status == 500:
        logger.error("internal error", extra={"request_id": request_id}, exc_info=error)
    told = Problem(short(error.message), error.code, short(error.hint), short(error.field), request_id)
    answer = Response(msgspec.json.encode(told), status, _headers(error), "application/json")
    if page and error.code == "unauthenticated":
        answer.headers.append("www-authenticate", PAGE_CHALLENGE)
    return answer


def unexpected(error: Exception) -> InternalError:
    """A bug, as a caller may see it: nothing of its inside is told, the log has it."""
    wrapped = InternalError("control failed in a way it should not", hint="report it with the request id")
    wrapped.__cause__ = error
    return wrapped


def short(text: str) -> str:
    """The text in bounds, and such that it can be written as UTF-8."""
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _headers(error: ShoalError) -> dict[str, str]:
    headers = {"connection": "close"} if error.code == "too_large" else {}
    if error.code == "unauthenticated":
        headers["www-authenticate"] = "Bearer"
    if error.retry_after is not None or isinstance(error, Unavailable):
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after or 1.0)))
    return headers
