"""The page that shows the OpenAPI document: Swagger UI from the installed package, nothing from another host.

Without the package the page says what to install; the document itself is at ``/openapi.json`` in any case.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from shoal.core.errors import NotFound

router = APIRouter(include_in_schema=False)

TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon-32x32.png": "image/png"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
SCRIPT = """\
// The viewer knows OpenAPI 3.0; the document keeps to what 3.0 and 3.1 share.
fetch("/openapi.json").then((answer) => answer.json()).then((document_) => SwaggerUIBundle({
  spec: { ...document_, openapi: "3.0.3" }, domNode: document.getElementById("swagger-ui"), deepLinking: true,
  tryItOutEnabled: true, docExpansion: "list", defaultModelsExpandDepth: -1, validatorUrl: null,
}));
"""
VIEWER = """\
<link rel="stylesheet" href="/docs/static/swagger-ui.css"><div id="swagger-ui"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script><script src="/docs/static/control-docs.js"></script>"""
HINT = """\
<p>To try requests in the browser, install the viewer: <code>pip install 'shoal[docs]'</code>.</p>
<p><a href="/openapi.json">The OpenAPI document</a></p>"""
PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shoal control</title>
<link rel="icon" href="/docs/static/favicon-32x32.png"></head><body>{body}</body></html>
"""


@router.get("/docs")
def docs() -> Response:
    body = VIEWER if _folder() is not None else HINT
    return HTMLResponse(PAGE.format(body=body), headers=HEADERS)


@router.get("/docs/static/{file}")
def static(file: str) -> Response:
    if file == "control-docs.js":
        return Response(SCRIPT, media_type="text/javascript")
    folder, kind = _folder(), TYPES.get(file)
    if folder is None or kind is None or not (folder / file).is_file():
        raise NotFound("there is no such file")
    return Response((folder / file).read_bytes(), media_type=kind, headers={"cache-control": "public, max-age=86400"})


@cache
def _folder() -> Path | None:
    """Where the package keeps the viewer; the package is not imported, only looked for."""
    found = importlib.util.find_spec("swagger_ui_bundle")
    if found is None or found.origin is None:
        return None
    vendor = sorted(Path(found.origin).parent.glob("vendor/swagger-ui-*"))
    return vendor[-1] if vendor else None
