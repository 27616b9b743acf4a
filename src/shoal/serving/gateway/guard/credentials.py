"""From headers (or gRPC metadata) to the credential that was presented. Pure.

A key or a token comes as `Authorization: Bearer ...`; a key also as `x-api-key`. Browsers cannot send either when
somebody opens a page: for them a key is the password of `Authorization: Basic`. They send that along from then on,
whoever asks them to; so it counts for what changes nothing, and for what a page of this server itself asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.core.wire.basic import password

AUTHORIZATION = b"authorization"
API_KEY = b"x-api-key"
MAX_CREDENTIAL = 8192
"""Bytes that are looked at; what is longer is no key and no token of ours."""
SAFE = frozenset((b"GET", b"HEAD"))


def presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    """What was presented, as the value of an Authorization header; None if nothing was."""
    value = headers.get(AUTHORIZATION)
    if value is None and (key := headers.get(API_KEY)) is not None:
        return b"Bearer " + key
    return value


def is_basic(value: bytes) -> bool:
    """Whether a browser may have added it by itself."""
    return value[:6].lower() == b"basic "


def basic_counts(method: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser's password counts for this request: it changes nothing, or no other site is behind it."""
    return method in SAFE or headers.get(b"sec-fetch-site") == b"same-origin"


def certificate_counts(method: bytes, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a certificate counts: a browser shows it for other sites, too; programs name no site."""
    return method in SAFE or headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin")


def text_of(value: bytes) -> str:
    """The key or token in a header's value.

    Raises:
        ValueError: it is none; the sentence does not hold it.
    """
    if len(value) > MAX_CREDENTIAL:
        raise ValueError("the credential is too long")
    scheme, _, rest = value.partition(b" ")
    kind = scheme.lower()
    if kind == b"basic":
        rest = password(rest)
    elif kind != b"bearer":
        raise ValueError("send `Authorization: Bearer` with an API key or a token")
    try:
        return rest.strip().decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("the credential holds characters that no key or token has") from None
