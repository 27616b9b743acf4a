"""Cuts arrays of numbers out of V2 JSON: what is left, the template, is small and alike from request to request.

Nothing is parsed here. A decoder reads the template, finds each placeholder where it expects data, and reads the
arrays on their own; together that is as strict as reading the whole.
"""

from __future__ import annotations

import re
import secrets

from shoal.core.wire.json_data import SMALL

_KEY = b'"data"'
_ID = re.compile(rb'\{[ ]?"id"[ ]?:[ ]?"([ !#-\[\]-~]{0,256})"[ ]?,[ ]?(?=")')
PLACE = 10**15 + secrets.randbelow(10**15)
"""What stands for the first array cut out of a request; no client can guess it, so none can write it itself."""


def split(body: bytes) -> tuple[bytes, list[bytes | memoryview]]:
    """Cut arrays that hold no text out of a request.

    Returns:
        The body with a number in the place of each such array, and the arrays.
    """
    spans: list[bytes | memoryview] = []
    pieces: list[bytes] = []
    start, at = 0, body.find(_KEY)
    while at >= 0:
        at += 6
        opening = body.find(b"[", at, at + 16)
        if opening >= 0 and (body[at:opening] == b":" or body[at:opening].strip() == b":"):
            end = _end_of_array(body, opening)
            if not end:
                at = body.find(_KEY, opening)
                continue
            pieces += (body[start:opening], b"%d" % (PLACE + len(spans)))
            spans.append(body[opening:end] if end - opening <= SMALL else memoryview(body)[opening:end])
            start = at = end
        at = body.find(_KEY, at)
    pieces.append(body[start:])
    return b"".join(pieces), spans


def without_id(body: bytes) -> tuple[str, bytes] | None:
    """The id of a small body that starts with it, and the body without it; None if there is any doubt.

    Ids differ from request to request, so that no template would be seen twice with them.
    """
    match = _ID.match(body) if body[:2] in (b'{"', b"{ ") and len(body) <= SMALL else None
    if match is None:
        return None
    rest = b"{" + body[match.end() :]
    if b'"id"' in rest or b"\\" in rest:  # a second id, maybe; or a name that is written otherwise
        return None
    return match[1].decode(), rest


def around(template: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind the only array of a template."""
    start, _, end = template.partition(b"%d" % PLACE)
    return start, end


def between(body: bytes, start: bytes, end: bytes) -> bytes | memoryview:
    """What a body has between its `start` and its `end`."""
    stop = len(body) - len(end)
    if stop - len(start) <= SMALL:
        return body[len(start) : stop]
    return memoryview(body)[len(start) : stop]


def _end_of_array(body: bytes, opening: int) -> int:
    """Where an array of numbers ends: at its last bracket before the next key or the object's end; 0: it has text."""
    brace = body.find(b"}", opening)
    end = brace if brace >= 0 else len(body)
    quote = body.find(b'"', opening, end)
    end = quote if quote >= 0 else end
    if body[end - 1] == 93:
        return end
    last = body.rfind(b"]", opening, end) + 1
    return last if not body[last:end].strip(b" \t\r\n,") else 0
