"""From a request's target to a route: sans I/O.

A target is cut at the slashes first and percent-decoded after, once: an encoded slash becomes part of a name, where it
is refused, and never a new segment. One trailing slash and a query are tolerated.

A pattern is written like ``/v2/models/{model}[/versions/{version}]/infer``; a part in brackets may be left out. V1 puts
the verb behind a colon (``/v1/models/iris:predict``): in patterns that is a segment of its own, ``/:predict``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from shoal.core.errors import InvalidInput, NotFound
from shoal.core.ports import Models
from shoal.serving.gateway.exchange import Exchange
from shoal.serving.gateway.guard.needs import Need
from shoal.serving.gateway.problems import MethodNotAllowed

Params = dict[str, str]
Handler = Callable[[Exchange, Params, Models], None]
"""Answers a request; the models are those that whoever asks may see."""

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_OPTIONAL = re.compile(r"\[([^]]*)\]")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one pattern, and what whoever asks must be allowed."""

    method: str
    pattern: str
    handler: Handler
    need: Need


class Table:
    """All routes, found by their segments."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in self.routes:
            for segments in _expand(route.pattern):
                self._by_length.setdefault(len(segments), []).append((segments, route))

    def find(self, method: str, segments: tuple[str, ...]) -> tuple[Route, Params]:
        """The route for these segments. HEAD is answered like GET.

        Raises:
            NotFound: no pattern fits.
            MethodNotAllowed: one fits, but not with this method.
        """
        wanted = "GET" if method == "HEAD" else method
        allowed: list[str] = []
        for pattern, route in self._by_length.get(len(segments), ()):
            params = _match(pattern, segments)
            if params is None:
                continue
            if route.method == wanted:
                return route, params
            allowed.append(route.method)
        if allowed:
            methods = [*allowed, *(["HEAD"] if "GET" in allowed else [])]
            raise MethodNotAllowed(f"this path does not take {method[:20]!a}", ", ".join(methods))
        raise NotFound("there is no such path", hint="GET / or GET /docs shows what is served")


def split(target: bytes) -> tuple[str, ...]:
    """The decoded segments of a target; none for ``/``.

    Raises:
        InvalidInput: a wrong escape, or not UTF-8.
        NotFound: not a path, or with empty segments.
    """
    path = target.partition(b"?")[0]
    if path[:1] != b"/":
        raise NotFound("the target is not a path")
    if path == b"/":
        return ()
    if b"%" in path and _BAD_ESCAPE.search(path):
        raise InvalidInput("the path has a wrong percent escape")
    try:
        segments = [unquote_to_bytes(part).decode() for part in path.removesuffix(b"/")[1:].split(b"/")]
    except UnicodeDecodeError:
        raise InvalidInput("the path is not UTF-8") from None
    if "" in segments:
        raise NotFound("the path has an empty segment")
    return _with_verb(segments)


def _with_verb(segments: list[str]) -> tuple[str, ...]:
    below = segments[2:] if segments[0] == "ns" else segments
    if below[:1] == ["v1"] and ":" in segments[-1]:
        name, _, verb = segments[-1].rpartition(":")
        return (*segments[:-1], name, f":{verb}")
    return tuple(segments)


def _expand(pattern: str) -> list[tuple[str, ...]]:
    texts = {_OPTIONAL.sub(r"\1", pattern), _OPTIONAL.sub("", pattern)}
    return [tuple(text[1:].split("/")) if text != "/" else () for text in sorted(texts)]


def _match(pattern: tuple[str, ...], segments: tuple[str, ...]) -> Params | None:
    params: Params = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected[:1] == "{":
            params[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return params
