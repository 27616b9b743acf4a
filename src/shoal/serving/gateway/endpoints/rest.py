"""REST without inference: metadata, health, repository, statistics, configuration, V1 status, metrics.

Each method answers one route; `routes` says which. Bodies are read with typed decoders and are small.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from shoal.core.errors import PermissionDenied, ShoalError, TooLarge
from shoal.core.model import ModelState
from shoal.core.ports import Models
from shoal.core.wire import json_guard
from shoal.serving.gateway import inference, lookup, peek, problems
from shoal.serving.gateway.endpoints import describe
from shoal.serving.gateway.endpoints.health import Health
from shoal.serving.gateway.endpoints.repository import Repository
from shoal.serving.gateway.exchange import JSON, Exchange, Headers
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.seeking import Seeker

MAX_BODY = 1024 * 1024
"""Bytes of a body for the repository: it is decoded on the loop."""

RETRY: Headers = ((b"retry-after", b"1"),)

Params = dict[str, str]
Tell = Callable[[bytes, bytes], None]
"""Takes the metrics as text, and its content type."""
Expose = Callable[[Tell], None]
"""Tells the metrics, now or later."""

_encode = msgspec.json.Encoder().encode


class _Index(msgspec.Struct):
    ready: bool = False


class _Change(msgspec.Struct):
    parameters: dict[str, str | int | float | bool] | None = None


class Rest:
    """Answers the routes of V2 and V1 that are not inference; see `paths.Handler`."""

    def __init__(
        self, health: Health, repository: Repository, refusals: Refusals, seeker: Seeker, expose: Expose
    ) -> None:
        self._health = health
        self._repository = repository
        self._refusals = refusals
        self._seeker = seeker
        self._expose = expose

    def server(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, describe.server())

    def live(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, {"live": True})

    def ready(self, exchange: Exchange, params: Params, models: Models) -> None:
        ready = self._health.ready()
        answer(exchange, {"ready": ready}, ready=ready)

    def models(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, {"models": describe.names(models)})

    def model(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, describe.model(models, params["model"], params.get("version", "")))

    def model_ready(self, exchange: Exchange, params: Params, models: Models) -> None:
        handle = lookup.find(models, params["model"], params.get("version", ""))
        ready = handle.state is ModelState.READY
        body: dict[str, Any] = {"name": handle.spec.name, "ready": ready}
        answer(exchange, body if ready else {**body, "reason": handle.reason}, ready=ready)

    def statistics(self, exchange: Exchange, params: Params, models: Models) -> None:
        name, version = params.get("model", ""), params.get("version", "")

        def tell() -> None:
            answer(exchange, {"model_stats": describe.statistics(models, name, version)})

        if name:
            self._seeker.measure(models, name, version, tell, partial(self._refusals.http, exchange))
        else:
            tell()

    def config(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, describe.config(models, params["model"], params.get("version", "")))

    def why(self, exchange: Exchange, params: Params, models: Models) -> None:
        name, version = params["model"], params.get("version", "")
        self._seeker.measure(
            models,
            name,
            version,
            lambda: answer(exchange, models.explain(name, version)),
            partial(self._refusals.http, exchange),
        )

    def v1_model(self, exchange: Exchange, params: Params, models: Models) -> None:
        answer(exchange, describe.v1_status(models, params["model"], params.get("version", "")))

    def index(self, exchange: Exchange, params: Params, models: Models) -> None:
        wanted = _read(exchange, _Index)
        answer(exchange, describe.index(models, ready_only=wanted.ready))

    def load(self, exchange: Exchange, params: Params, models: Models) -> None:
        wanted = _read(exchange, _Change)
        self._repository.load(models, params["model"], wanted.parameters or {}, *self._outcomes(exchange))

    def unload(self, exchange: Exchange, params: Params, models: Models) -> None:
        _read(exchange, _Change)
        self._repository.unload(models, params["model"], *self._outcomes(exchange))

    def metrics(self, exchange: Exchange, params: Params, models: Models) -> None:
        self._expose(lambda text, content_type: exchange.respond(200, text, content_type))

    def _outcomes(self, exchange: Exchange) -> tuple[Callable[[], None], Callable[[ShoalError], None]]:
        def done() -> None:
            exchange.respond(200, b"", JSON, problems.given_id(exchange.headers))

        def failed(error: ShoalError) -> None:
            self._refusals.http(exchange, error)

        return done, failed


def answer(exchange: Exchange, body: object, *, ready: bool = True) -> None:
    """Answer with JSON: 200, or 503 for what is not ready."""
    headers = (*problems.given_id(exchange.headers), *(() if ready else RETRY))
    exchange.respond(200 if ready else 503, _encode(body), JSON, headers)


Body = TypeVar("Body", _Index, _Change)


def _read(exchange: Exchange, kind: type[Body]) -> Body:
    """A small JSON body; none at all is like an empty object.

    What a web page of another origin sends is refused: browsers mark it, and without a content type they would send it
    unasked.
    """
    inference.check_media_type(exchange.headers)
    if exchange.headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise PermissionDenied("web pages of other origins cannot use the repository")
    if len(exchange.body) > MAX_BODY:
        raise TooLarge(f"the body is larger than {MAX_BODY} bytes")
    if not exchange.body:
        return kind()
    peek.check_depth(exchange.body)
    try:
        return msgspec.json.decode(exchange.body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise json_guard.explain(error) from error
