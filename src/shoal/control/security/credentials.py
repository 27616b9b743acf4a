"""What a request shows: a key or a token, a browser's password, a certificate. Pure.

    Authorization: Bearer KEY     or     x-api-key: KEY     or     Authorization: Basic, for the pages

A browser cannot send a key when somebody opens a page: there the key is the password of `Authorization: Basic`. It
sends that along from then on, whoever asks it to; so it counts for reading the pages, and for nothing else.
"""

from __future__ import annotations

from starlette.datastructures import Headers

from shoal.core.errors import Unauthenticated
from shoal.core.wire.basic import password

KEY_HEADER = "x-api-key"
CERTIFICATE = "certificate"
"""In the state of a request: the name in the certificate that its client has shown, and TLS has verified, or ""."""
PAGE = "page"
"""In the state of a request: whether it is for a page."""
PAGES = frozenset({"GET /docs", "GET /docs/static/{file}", "GET /openapi.json"})
"""Routes for which a browser's password counts."""


def credential(headers: Headers, *, page: bool = False) -> str:
    """What a request shows, "" if it shows nothing.

    Args:
        headers: of the request.
        page: whether it is for a page.

    Raises:
        Unauthenticated: it shows two different keys.
    """
    given = headers.get("authorization", "")
    kind, _, text = given.partition(" ")
    if page and kind.lower() == "basic":
        text = _password(text)
    elif given and kind.lower() != "bearer":
        return given
    keys = {each.strip() for each in (text, headers.get(KEY_HEADER, "")) if each.strip()}
    if len(keys) > 1:
        raise Unauthenticated("the request shows two different keys", hint=f"leave out {KEY_HEADER}")
    return keys.pop() if keys else ""


def _password(encoded: str) -> str:
    """What is in it; what cannot be read is no key either."""
    try:
        return password(encoded.encode("latin-1")).decode("latin-1")
    except ValueError:
        return encoded
