"""The desk in front of the application: nobody gets to a route, or learns whether there is one, who may not.

Who asks is known to all that is inside, for as long as the request lasts (`control.caller`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import anyio.to_thread
from starlette.datastructures import Headers, QueryParams
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.control.caller import CALLER, Caller
from shoal.control.security.credentials import CERTIFICATE, PAGE, PAGES, credential
from shoal.control.security.desk import Desk, Hidden, check
from shoal.control.security.rules import RULES, Rule, Target, Where, target_of
from shoal.core.access import Principal
from shoal.core.errors import InternalError, PermissionDenied

NOBODY = Principal("", "nobody")


class Guard:
    """An ASGI app around the application.

    Args:
        app: what answers those who are let through.
        routes: of the application.
        desk: who decides.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], desk: Desk) -> None:
        self._app = app
        self._routes = list(flat(routes))
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name, rule, target = self._find(scope)
        scope["state"][PAGE] = name in PAGES
        caller = None
        if rule is None or rule.where is not Where.OPEN:
            caller = await anyio.to_thread.run_sync(self._let_in, scope, name, rule, target)
        scope["state"] |= {"caller": caller, "target": target, "route": name}
        token = CALLER.set(caller)
        try:
            await self._app(scope, receive, send)
        finally:
            CALLER.reset(token)

    def _let_in(self, scope: Scope, name: str, rule: Rule | None, target: Target | None) -> Caller:
        state = scope["state"]
        request = str(state["request_id"])
        token = CALLER.set(Caller(NOBODY, request))
        try:
            source = (scope.get("client") or ("", 0))[0]
            shown, certificate = credential(Headers(scope=scope), page=state[PAGE]), state.get(CERTIFICATE, "")
            principal = self._desk.admit(shown, source, name, request, certificate)
            caller = Caller(principal, request)
            if rule is not None:
                self._check(caller, rule, target, name)
            elif name:
                raise InternalError(f"the route {name} says nothing about who may use it")
            return caller
        finally:
            CALLER.reset(token)

    def _check(self, caller: Caller, rule: Rule, target: Target | None, name: str) -> None:
        token = CALLER.set(caller)
        try:
            check(caller.principal, rule, target)
        except (PermissionDenied, Hidden) as error:
            self._desk.denied(caller, target, name, error)
            raise
        finally:
            CALLER.reset(token)

    def _find(self, scope: Scope) -> tuple[str, Rule | None, Target | None]:
        """Name, rule and target of the route that will answer; "" if none will."""
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                name = f"{scope['method']} {_path(route)}"
                rule = RULES.get(name)
                query = QueryParams(scope["query_string"])
                return name, rule, target_of(rule, found["path_params"], query) if rule else None
        return "", None, None


def flat(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes, those of included routers in their place."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from flat(inner.routes)


def names_of(routes: Iterable[BaseRoute]) -> list[str]:
    """Method and path of all routes."""
    return [f"{method} {_path(route)}" for route in flat(routes) for method in sorted(_methods(route))]


def _path(route: BaseRoute) -> str:
    return str(getattr(route, "path", ""))


def _methods(route: Any) -> set[str]:
    return set(getattr(route, "methods", None) or ())
