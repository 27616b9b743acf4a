"""Pages for people: the start page, and the documentation of all models or of one.

They are plain HTML that reads well without a script, light and dark. A content security policy forbids every request
to another host and every script that is not a file of ours. Without Swagger UI the pages list the paths themselves and
say what to install.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import msgspec

from shoal.core.errors import NotFound
from shoal.core.ports import ModelHandle, Models
from shoal.core.version import __version__
from shoal.serving.gateway import lookup
from shoal.serving.gateway.endpoints import docs_assets, openapi
from shoal.serving.gateway.exchange import JSON, Exchange, Headers
from shoal.serving.gateway.guard.guard import Guard

Params = dict[str, str]

HTML = b"text/html; charset=utf-8"
MAX_ROWS = 1000
"""Models that the start page shows."""

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Headers = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
ASSET_HEADERS: Headers = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"public, max-age=86400"))

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
code { font: .95em ui-monospace, monospace; }
.READY { color: light-dark(#06713a, #5fd38f); } .UNAVAILABLE { color: light-dark(#a8071a, #ff8b94); }
.LOADING, .UNLOADING { color: light-dark(#8a5a00, #ffcb6b); }
small { opacity: .75; }
"""

_encode = msgspec.json.Encoder().encode


class DocsPages:
    """Answers the routes of the pages and documents; see `paths.Handler`."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def start(self, exchange: Exchange, params: Params, models: Models) -> None:
        handles = list(models.all())
        rows = "".join(_row(handle) for handle in handles[:MAX_ROWS])
        more = f"<p>{len(handles) - MAX_ROWS} more are not shown.</p>" if len(handles) > MAX_ROWS else ""
        table = f"<table><tr><th>Model<th>State<th>Runtime<th>Links</tr>{rows}</table>{more}"
        body = f"""<p>{_count(len(handles))} served over the Open Inference Protocol, REST and gRPC, on this port.</p>
{table if handles else "<p>Put a model file into the folder that is served.</p>"}
<p><a href="/docs">Documentation</a> · <a href="/openapi.json">OpenAPI</a> · <a href="/metrics">Metrics</a> ·
<a href="/v2">Server</a> · <a href="/v2/models/stats">Statistics</a></p>"""
        _page(exchange, "Shoal", f"<h1>Shoal <small>{escape(__version__)}</small></h1>{body}")

    def docs(self, exchange: Exchange, params: Params, models: Models) -> None:
        _docs(exchange, "All models", "/openapi.json", openapi.node(_defaults(models), secured=self._guard.on))

    def model_docs(self, exchange: Exchange, params: Params, models: Models) -> None:
        handle, versioned = self._handle(params, models)
        version = f"/versions/{handle.spec.version}" if versioned else ""
        url = f"/v2/models/{handle.spec.name}{version}/openapi.json"
        _docs(exchange, handle.spec.name, url, openapi.model(handle, versioned=versioned, secured=self._guard.on))

    def openapi(self, exchange: Exchange, params: Params, models: Models) -> None:
        exchange.respond(200, _encode(openapi.node(_defaults(models), secured=self._guard.on)), JSON)

    def model_openapi(self, exchange: Exchange, params: Params, models: Models) -> None:
        handle, versioned = self._handle(params, models)
        exchange.respond(200, _encode(openapi.model(handle, versioned=versioned, secured=self._guard.on)), JSON)

    def static(self, exchange: Exchange, params: Params, models: Models) -> None:
        asset = docs_assets.read(params["file"]) if params["file"] in _ASSETS else None
        if asset is None:
            raise NotFound("there is no such file")
        exchange.respond(200, asset[0], asset[1], ASSET_HEADERS)

    def _handle(self, params: Params, models: Models) -> tuple[ModelHandle, bool]:
        version = params.get("version", "")
        return lookup.find(models, params["model"], version), bool(version)


def _defaults(models: Models) -> Iterable[ModelHandle]:
    """The default version of each model."""
    for name in dict.fromkeys(handle.spec.name for handle in models.all()):
        yield models.find(name)


_ASSETS = frozenset((docs_assets.SCRIPT_NAME, *docs_assets.CONTENT_TYPES))


def _row(handle: ModelHandle) -> str:
    spec = handle.spec
    base = f"/v2/models/{spec.name}" + (f"/versions/{spec.version}" if spec.version else "")
    version = f" <small>version {escape(spec.version)}</small>" if spec.version else ""
    reason = f"<br><small>{escape(handle.reason)}</small>" if handle.reason else ""
    links = " · ".join(
        f'<a href="{escape(base + path)}">{text}</a>'
        for path, text in (("/docs", "try"), ("", "metadata"), ("/stats", "statistics"), ("/config", "configuration"))
    )
    state = f'<td class="{handle.state.value}">{handle.state.value}{reason}'
    return f"<tr><td><b>{escape(spec.name)}</b>{version}{state}<td>{escape(spec.runtime)}<td>{links}</tr>\n"


def _count(number: int) -> str:
    return "1 model version is" if number == 1 else f"{number} model versions are"


def _docs(exchange: Exchange, title: str, url: str, document: openapi.Json) -> None:
    """The viewer if it is installed; the list of paths is there in any case, for readers without a script."""
    paths = _path_list(document)
    if docs_assets.available():
        body = f"""<div id="swagger-ui" data-url="{escape(url)}"></div>
<noscript><h1>{escape(title)}</h1>{paths}</noscript>
<script src="/docs/static/swagger-ui-bundle.js"></script>
<script src="/docs/static/{docs_assets.SCRIPT_NAME}"></script>"""
        _page(exchange, title, body, head='<link rel="stylesheet" href="/docs/static/swagger-ui.css">', style=LIGHT)
        return
    hint = "<p>To try requests in the browser, install the viewer: <code>pip install 'shoal[docs]'</code>.</p>"
    _page(exchange, title, f'<h1>{escape(title)}</h1>{paths}{hint}<p><a href="{escape(url)}">OpenAPI</a></p>')


def _path_list(document: openapi.Json) -> str:
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code><td><code>{escape(path)}</code><td>{escape(operation['summary'])}</tr>\n"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return f"<table><tr><th>Method<th>Path<th></tr>{rows}</table>"


LIGHT = "body { margin: 0; background: #fff; color: #222; } :root { color-scheme: light; }"
"""Swagger UI has no dark form."""


def _page(exchange: Exchange, title: str, body: str, *, head: str = "", style: str = STYLE) -> None:
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="/docs/static/favicon-32x32.png">
{head}<style>{style}</style></head>
<body>{body}</body></html>
"""
    exchange.respond(200, text.encode(), HTML, PAGE_HEADERS)
