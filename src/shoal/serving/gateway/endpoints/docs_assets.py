"""The files behind the documentation pages: Swagger UI from the installed package `swagger_ui_bundle`, and our script.

Nothing comes from another host. Only the files named here are served, each read once.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

CONTENT_TYPES = {
    "swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "favicon-32x32.png": b"image/png",
}
SCRIPT_NAME = "shoal-docs.js"
SCRIPT_TYPE = b"text/javascript; charset=utf-8"

SCRIPT = b"""\
// Shows the document that the page names. The viewer knows OpenAPI 3.0; the documents keep to what 3.0 and 3.1 share.
const place = document.getElementById("swagger-ui");
fetch(place.dataset.url)
  .then((answer) => answer.json())
  .then((document_) => SwaggerUIBundle({
    spec: { ...document_, openapi: "3.0.3" },
    domNode: place,
    deepLinking: true,
    tryItOutEnabled: true,
    docExpansion: "list",
    defaultModelsExpandDepth: -1,
    validatorUrl: null,
  }))
  .catch((error) => { place.textContent = "The document could not be shown: " + error; });
"""


def available() -> bool:
    """Whether Swagger UI is installed."""
    return _folder() is not None


@cache
def read(name: str) -> tuple[bytes, bytes] | None:
    """Content and content type of a file, or None if there is no such file."""
    if name == SCRIPT_NAME:
        return SCRIPT, SCRIPT_TYPE
    folder, content_type = _folder(), CONTENT_TYPES.get(name)
    if folder is None or content_type is None or not (folder / name).is_file():
        return None
    return (folder / name).read_bytes(), content_type


@cache
def _folder() -> Path | None:
    """Where the package keeps the viewer; the package is not imported, only looked for."""
    found = importlib.util.find_spec("swagger_ui_bundle")
    if found is None or found.origin is None:
        return None
    vendor = sorted(Path(found.origin).parent.glob("vendor/swagger-ui-*"))
    return vendor[-1] if vendor else None
