"""Texts that may be shown: passwords in URLs are taken out. Pure.

What people are shown (errors, logs, `why`, pages) may quote a setting or what a library says of it, and both may hold a
URL with a user and a password, or with a signature in its query.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_USER = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://)([^/?#\s'\"<>]*)@")
_QUERY = re.compile(
    r"([?&](?:[a-z0-9._-]*(?:password|passwd|secret|token|signature|credential|api_?key|access_?key)[a-z0-9._-]*|sig|key)=)"
    r"[^&#\s'\"<>]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without users, passwords and signatures of the URLs in it.

    A user without a password goes, too: for some servers it is a token. A password with a raw '/' or '#' in it would
    make the URL mean something else; what follows such a character stays.
    """
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def holds_secret(text: str) -> bool:
    """Whether a URL in the text has a password or a signature; a user alone is none."""
    if any(":" in match[2] for match in _USER.finditer(text)):
        return True
    return "://" in text and _QUERY.search(text) is not None
