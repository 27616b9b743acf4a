"""The application for HTTP requests: which path is answered by what.

The hot path is one look-up: the bytes of a target that named an existing model before lead straight to its endpoint,
which asks for the model's handle anew with each request (so a reload or removal needs no invalidation). All else goes
the cold way: split, decode, check, match. A path that nobody knows is answered with 404, a wrong method with 405 and
`Allow`.
"""

from __future__ import annotations

import logging

from shoal.core.call import Format
from shoal.core.errors import NotFound, ShoalError, Unavailable
from shoal.core.model import ModelState
from shoal.core.ports import Models
from shoal.serving.gateway import lookup, paths, problems
from shoal.serving.gateway.endpoints.apps import Apps
from shoal.serving.gateway.endpoints.docs_pages import DocsPages
from shoal.serving.gateway.endpoints.health import Health
from shoal.serving.gateway.endpoints.repository import Repository
from shoal.serving.gateway.endpoints.rest import Expose, Rest
from shoal.serving.gateway.exchange import Exchange
from shoal.serving.gateway.guard import needs
from shoal.serving.gateway.guard.credentials import API_KEY, AUTHORIZATION
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.guard.needs import MODEL, V1_MODEL
from shoal.serving.gateway.inference import HttpEndpoint
from shoal.serving.gateway.naming import HOST, Naming
from shoal.serving.gateway.paths import Handler, Params, Route
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.quotas import Quotas
from shoal.serving.gateway.seeking import Seeker

logger = logging.getLogger(__name__)

HOT = 4096
"""Targets that are remembered; when there are more, remembering starts again."""

CREDENTIALS = frozenset((AUTHORIZATION, API_KEY))


class Router:
    """Answers every HTTP request, or hands it to its model.

    Args:
        models: what is served.
        refusals: answers and counts what is refused.
        health: whether the node is ready.
        repository: runs loads and unloads.
        expose: tells the metrics as text and its content type, now or later.
        apps: knows the way to the full-custom apps of models.
        seeker: looks for models that are not known here.
        guard: knows who may do what.
        quotas: count what tenants ask for, or None.
        naming: knows which service a path and a host are about.

    Attributes:
        routes: all that there are.
    """

    def __init__(
        self,
        models: Models,
        refusals: Refusals,
        *,
        health: Health,
        repository: Repository,
        expose: Expose,
        apps: Apps,
        seeker: Seeker,
        guard: Guard,
        quotas: Quotas | None,
        naming: Naming,
    ) -> None:
        self._models = models
        self._naming = naming
        self._refusals = refusals
        self._apps = apps
        self._seeker = seeker
        self._guard = guard
        self._quotas = quotas
        rest = Rest(health, repository, refusals, seeker, expose)
        self._table = paths.Table([*_routes(rest, DocsPages(guard)), *self._inference_routes()])
        self._app_route = _route("*", "/models/{model}/app", self._app)
        self.routes = (*self._table.routes, self._app_route)
        self._hot: dict[bytes, HttpEndpoint] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Answer now or later; never raises."""
        endpoint = self._hot.get(exchange.target)
        if endpoint is not None and exchange.method == b"POST":
            endpoint(exchange)
        else:
            self._cold(exchange)

    def _cold(self, exchange: Exchange) -> None:
        try:
            self._find_and_answer(exchange)
        except ShoalError as error:
            self._refusals.http(exchange, error)
        except Exception as error:  # noqa: BLE001 - a bug is answered with 500 and logged with its trace
            self._refusals.http(exchange, problems.unexpected(error))

    def _find_and_answer(self, exchange: Exchange) -> None:
        segments = self._naming.segments(paths.split(exchange.target), exchange.headers)
        if len(segments) >= 3 and segments[0] == "models" and segments[2] == "app":
            route, params = self._app_route, {"model": lookup.checked_name(segments[1])}
        else:
            route, params = self._table.find(exchange.method.decode("latin-1"), segments)
        name = params.get("model", "")
        models = self._guard.admit(exchange, exchange.headers, route.need, self._models, name)
        if not name:
            route.handler(exchange, params, models)
        else:
            self._seeker.run(
                models,
                name,
                params.get("version", ""),
                lambda: route.handler(exchange, params, models),
                lambda error: self._refusals.http(exchange, error),
            )

    def _app(self, exchange: Exchange, params: Params, models: Models) -> None:
        name = params["model"]
        handle = lookup.find(models, name)
        app = self._apps.get(handle.spec.name)
        if app is None:
            if not handle.spec.app and handle.state is ModelState.READY:
                raise NotFound(f"model {name!r} has no app", hint="an app is named in the model's model.yaml")
            hint = "an app runs while its model does; gateways reach those of proxies on their own machine"
            raise Unavailable(f"no app of model {name!r} is running here", hint=hint, retry_after=1.0)
        path, mark, query = bytes(exchange.target).partition(b"?")
        depth = 6 if paths.split(path)[:1] == ("ns",) else 4
        below = path.split(b"/", depth)[depth:]
        hidden = CREDENTIALS if self._guard.on else frozenset()
        rest = b"/" + b"".join(below) + mark + query
        app.handle(exchange, rest, hidden, seconds=handle.spec.limits.timeout_seconds)

    def _inference_routes(self) -> list[Route]:
        return [
            _route("POST", f"{MODEL}/infer", self._endpoint(Format.V2_JSON)),
            _route("POST", f"{MODEL}/predict_all", self._endpoint(Format.PREDICT_ALL)),
            _route("POST", f"{V1_MODEL}/:predict", self._endpoint(Format.V1_JSON)),
        ]

    def _endpoint(self, format: Format) -> Handler:
        def handle(exchange: Exchange, params: Params, models: Models) -> None:
            name, version = params["model"], params.get("version", "")
            lookup.find(models, name, version)
            endpoint = HttpEndpoint(
                self._models, self._refusals, self._guard, self._quotas, name, version, format, self._forget
            )
            self._remember(exchange, endpoint)
            endpoint(exchange)

        return handle

    def _forget(self, exchange: Exchange) -> None:
        """The model is not known any more; it may be again."""
        self._hot.pop(self._key(exchange), None)
        self._cold(exchange)

    def _remember(self, exchange: Exchange, endpoint: HttpEndpoint) -> None:
        if b"?" in exchange.target:
            return
        if len(self._hot) >= HOT:
            self._hot.clear()
        self._hot[self._key(exchange)] = endpoint

    def _key(self, exchange: Exchange) -> bytes:
        """What an endpoint is remembered by."""
        return bytes(exchange.target)


class HostRouter(Router):
    """A router for a node with a domain: the same target means another service on another host."""

    def __call__(self, exchange: Exchange) -> None:
        endpoint = self._hot.get(self._key(exchange))
        if endpoint is not None and exchange.method == b"POST":
            endpoint(exchange)
        else:
            self._cold(exchange)

    def _key(self, exchange: Exchange) -> bytes:
        return exchange.headers.get(HOST, b"") + b" " + exchange.target


def _routes(rest: Rest, pages: DocsPages) -> list[Route]:
    gets: list[tuple[str, Handler]] = [
        ("/", pages.start),
        ("/docs", pages.docs),
        ("/docs/static/{file}", pages.static),
        ("/openapi.json", pages.openapi),
        ("/metrics", rest.metrics),
        ("/v2", rest.server),
        ("/v2/health/live", rest.live),
        ("/v2/health/ready", rest.ready),
        ("/v2/models", rest.models),
        ("/v2/models/stats", rest.statistics),
        (MODEL, rest.model),
        (f"{MODEL}/ready", rest.model_ready),
        (f"{MODEL}/stats", rest.statistics),
        (f"{MODEL}/config", rest.config),
        (f"{MODEL}/why", rest.why),
        (f"{MODEL}/docs", pages.model_docs),
        (f"{MODEL}/openapi.json", pages.model_openapi),
        ("/v1/models", rest.models),
        (V1_MODEL, rest.v1_model),
    ]
    posts: list[tuple[str, Handler]] = [
        ("/v2/repository/index", rest.index),
        ("/v2/repository/models/{model}/load", rest.load),
        ("/v2/repository/models/{model}/unload", rest.unload),
    ]
    return [*(_route("GET", *each) for each in gets), *(_route("POST", *each) for each in posts)]


def _route(method: str, pattern: str, handler: Handler) -> Route:
    """A route with what it needs; one that the table of `guard.needs` does not know cannot be made."""
    return Route(method, pattern, handler, needs.http(method, pattern))
