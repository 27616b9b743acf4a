"""The id under which a request is found again: the client's `x-request-id`, or one made here.

A client's id is taken only if it is printable ASCII of at most 128 characters, so that it can be put into headers and
logs as it is. An id of our own is a random prefix of this process and a number: unique, and it costs next to nothing.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping

HEADER = b"x-request-id"

_VALID = re.compile(rb"[\x21-\x7e]{1,128}")
_PREFIX = secrets.token_hex(4)
_next = itertools.count(1).__next__


def given(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The client's own id, or None if there is none that can be used."""
    value = headers.get(HEADER)
    return value if value is not None and _VALID.fullmatch(value) else None


def request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's id, or a new one."""
    value = given(headers)
    return value.decode("ascii") if value is not None else f"{_PREFIX}-{_next():x}"
