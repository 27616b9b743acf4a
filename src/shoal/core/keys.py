"""The text of an API key: `shoal_<id>_<secret><check>`. Pure but for the random numbers of `generate`.

The `id` is public: it is how a key is found, listed and revoked. The secret has 256 random bits, so a plain SHA-256 of
the whole text is enough to keep: there is nothing to guess. The check tells a mistyped key from an unknown one, before
anything is looked up. All of it is lower-case base32: a double click selects it, and no character needs an escape.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from typing import NamedTuple

_TEXT = re.compile(r"shoal_([a-z2-7]{12})_[a-z2-7]{52}([a-z2-7]{7})", re.ASCII)
_NO_KEY = hashlib.sha256(b"").hexdigest()
_CHECK = 7


class Key(NamedTuple):
    """A new key: the only time that its text is known.

    Attributes:
        id: of 12 characters.
        text: the whole key, of 78 characters.
    """

    id: str
    text: str


def generate() -> Key:
    """A key that nobody has."""
    key_id = _base32(secrets.token_bytes(8))[:12]
    front = f"shoal_{key_id}_{_base32(secrets.token_bytes(32))}"
    return Key(key_id, front + _check(front))


def parse(text: str) -> str:
    """The id of a key.

    Raises:
        ValueError: it is not the text of a key, or mistyped. The sentence does not hold the text.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("this is not an API key: one looks like shoal_<id>_<secret>, 78 characters in all")
    if _check(text[:-_CHECK]) != match[2]:
        raise ValueError("the API key is mistyped or cut: its last characters do not fit the others")
    return match[1]


def digest(text: str) -> str:
    """What is kept of a key: the SHA-256 of its text, as hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, sha256: str | None) -> bool:
    """Whether a key is the one of which the digest was kept.

    It takes as long for a wrong key as for the right one, and for an unknown id (None) as for a known one.
    """
    same = hmac.compare_digest(digest(text), sha256 or _NO_KEY)
    return same and sha256 is not None


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _check(front: str) -> str:
    return _base32(zlib.crc32(front.encode()).to_bytes(4, "big"))
