"""How each route of the control API is told of in OpenAPI: what it takes, what it gives, and an example that works.

Values are `msgspec` structs, so their schemas come from there; FastAPI tells the rest. `described` is what the routes
pass to their decorators, `document` puts all together.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from shoal.control.api.problems import Problem
from shoal.core import catalogue, keyring
from shoal.core.access import AccessTable
from shoal.core.quotas import Usage
from shoal.core.registry import Manifest, Model, Namespace, NewVersion, StageMove, Version
from shoal.core.routes import Feed, NodeStatus, Route

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
SECURITY: Json = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of a trusted issuer."}
}
BINARY: Json = {"schema": {"type": "string", "format": "binary"}}
TYPES: tuple[Any, ...] = (
    Problem, AccessTable, Manifest, Model, Namespace, NewVersion, StageMove, Version, Feed, NodeStatus, Route, Usage,
    *(
        kind
        for kind in (*vars(catalogue).values(), *vars(keyring).values())
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    ),
)  # fmt: skip


def answer(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def described(
    gives: type | None,
    *,
    takes: type | None = None,
    example: Any = None,
    status: int = 200,
    streamed: bool = False,
    also: dict[int, str] | None = None,
) -> Json:
    """Arguments of a route's decorator.

    Args:
        gives: type of the answer; None for an empty one.
        takes: type of the JSON body.
        example: of the body, or of the bytes of a streamed one as text.
        status: of the answer when all goes well.
        streamed: whether the body is a file.
        also: further statuses that are no errors.
    """
    responses: dict[int | str, Json] = {status: _response("Done", gives)}
    responses |= {code: _response(text, gives) for code, text in (also or {}).items()}
    responses["default"] = _response("An error, with what to do about it", Problem)
    extra: Json = {}
    if takes is not None:
        content = {"application/json": {"schema": _ref(takes), "example": example}}
        extra["requestBody"] = {"required": True, "content": content}
    elif streamed:
        content = {"application/octet-stream": {**BINARY, "example": example}}
        extra["requestBody"] = {"required": True, "content": content}
    plain = {"response_model": None, "response_class": Response}
    return {"responses": responses, "openapi_extra": extra, "status_code": status, **plain}


def document(app: FastAPI) -> Json:
    """The OpenAPI document of the application."""
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    _, schemas = msgspec.json.schema_components(TYPES, ref_template=REF)
    made["components"] = {"schemas": schemas, "securitySchemes": SECURITY}
    made["security"] = [{name: []} for name in SECURITY]
    return made


def _response(text: str, kind: type | None) -> Json:
    if kind is None:
        return {"description": text}
    content = {"application/octet-stream": BINARY} if kind is bytes else {"application/json": {"schema": _ref(kind)}}
    return {"description": text, "content": content}


def _ref(kind: type) -> Json:
    return {"$ref": REF.format(name=kind.__name__)}
