"""The control API as one ASGI application: routes inside, then replays, then the boundary.

Boundary                where a call may come from, request ids, unexpected errors
└── Guard               who asks, and may they
    └── Replays         Idempotency-Key
        └── Announcing  each change wakes those who wait for the feed
            └── FastAPI routes; errors of the domain become problems
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.control.api import (
    blobs,
    describing,
    docs,
    keys,
    models,
    namespaces,
    nodes,
    problems,
    services,
    stages,
    upkeep,
)
from shoal.control.api.boundary import Boundary
from shoal.control.api.feed import FeedWatch
from shoal.control.api.replays import METHODS, Replays
from shoal.control.audit.denials import Denials
from shoal.control.audit.reported import Reported
from shoal.control.control import Control
from shoal.control.security.authenticating import Authenticator, KeyAuthenticator, OwnKey
from shoal.control.security.backoff import Backoff
from shoal.control.security.desk import Desk, Hidden, shown
from shoal.control.security.guard import Guard
from shoal.control.security.tokens import tokens_of
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import InvalidInput, NotFound, PermissionDenied, ShoalError
from shoal.core.settings.auth import certified
from shoal.core.version import __version__

ABOUT = """\
The control plane of Shoal: models and their versions, stages, services and their environments, and what serving nodes
need to know.

Each error is `{"error", "code", "hint", "field", "request_id"}`. Each change may carry an `Idempotency-Key`: the same
request with the same key has its effect once and gets the same answer.
"""
TAGS = ("models", "stages", "services", "files", "namespaces", "nodes", "keys", "upkeep")


def create_app(
    control: Control,
    *,
    watch: FeedWatch | None = None,
    clock: Clock = monotonic,
    own: Sequence[OwnKey] = (),
    others: Sequence[Authenticator] = (),
) -> ASGIApp:
    """The application.

    Args:
        control: what does the work.
        watch: of the feed; whoever stops the server closes it first.
        clock: monotonic.
        own: keys that only this process knows, besides those of the registry.
        others: what knows credentials of other kinds.
    """
    registry = control.registry
    authenticator = KeyAuthenticator(registry.access, registry.access_revision, registry.mark_used, own, clock=clock)
    denials = Denials(
        lambda actor, action, namespace, subject, detail: registry.deny(actor, action, namespace, subject, detail),
        clock=clock,
    )
    settings = control.settings
    others = (*others, *tokens_of([each.value for each in settings.issuers]))
    names = certified(settings.certificates)
    desk = Desk(settings.asking, authenticator, denials, others=others, certified=names, backoff=Backoff(clock))
    app = api()
    app.state.desk = desk
    app.state.control = control
    app.state.reported = Reported(registry.deny_many, clock=clock)
    app.state.uploads = anyio.CapacityLimiter(settings.uploads)
    app.state.watch = watch or FeedWatch(control.registry.position, settings.waiters)
    inner = Replays(_Announcing(app, app.state.watch), clock=clock)
    return Boundary(Guard(inner, app.routes, desk), settings.names)


def api() -> FastAPI:
    """The routes alone; `openapi()` of it is the document."""
    app = FastAPI(
        title="Shoal control",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_tags=[{"name": name} for name in TAGS],
        exception_handlers=dict.fromkeys((ShoalError, RequestValidationError, HTTPException, Exception), _problem),
    )
    for room in (models, stages, services, blobs, namespaces, nodes, keys, upkeep, docs):
        app.include_router(room.router)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    app.openapi_schema = app.openapi_schema or describing.document(app)
    return app.openapi_schema


async def _problem(request: Request, error: Exception) -> Response:
    told, caller, target = _translated(error), request.state.caller, request.state.target
    if caller is not None:
        if isinstance(told, PermissionDenied | Hidden):
            desk: Desk = request.app.state.desk
            await anyio.to_thread.run_sync(desk.denied, caller, target, request.state.route, told)
        if isinstance(told, NotFound):
            told = shown(told, caller.principal, target)
    return problems.to_response(told, request.state.request_id)


def _translated(error: Exception) -> ShoalError:
    """What FastAPI raises, as errors of the domain."""
    if isinstance(error, ShoalError):
        return error
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return InvalidInput(f"{place}: {str(first['msg']).lower()}", hint="see /docs", field=place)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return problems.MethodNotAllowed("the path does not know this method", hint="see /docs")
    if isinstance(error, HTTPException) and error.status_code == 404:
        return NotFound("there is no such path", hint="see /docs")
    return problems.unexpected(error)


class _Announcing:
    """Rings after each change that went well, so that nodes which wait learn of it at once."""

    def __init__(self, app: ASGIApp, watch: FeedWatch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def announce(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                self._watch.ring()
            await send(message)

        changes = scope["type"] == "http" and scope["method"] in METHODS
        await self._app(scope, receive, announce if changes else send)
