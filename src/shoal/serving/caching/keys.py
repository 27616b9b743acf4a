"""Which calls ask for the same: the key of an answer, and the body that the model is asked with.

A key is a BLAKE2b digest of what the answer depends on: the version's content and settings, the tenant (`prefix`), the
format, and the input in its canonical form. Large JSON is not parsed on the event loop: it is taken byte by byte.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from shoal.core.call import Call, Format
from shoal.serving.caching import canonical

MAX_BODY = 1024 * 1024
"""Bytes of a request; what is larger is not looked up, as the digest alone would hold the loop for a millisecond."""
MAX_PARSED = 16 * 1024
"""Bytes of JSON that are parsed for their canonical form."""


class Subject(NamedTuple):
    """What a call asks for.

    Attributes:
        key: equal for calls that have the same answer, but for its id.
        body, json_length: the request without its id, as a `core.call.Call` has them.
        id: what the answer must carry for this caller, or None.
    """

    key: bytes
    body: bytes | bytearray | memoryview
    json_length: int
    id: str | None


class Keys:
    """Makes keys.

    Args:
        prefix: all that an answer depends on beside the call itself.
        public: whether callers of all tenants may share an answer. If not, not even its time tells one of them what
            another has asked.
    """

    __slots__ = ("_public", "_start")

    def __init__(self, prefix: bytes, *, public: bool = False) -> None:
        self._start = blake2b(prefix, digest_size=32)
        self._public = public

    def of(self, call: Call) -> Subject | None:
        """What the call asks for; None if it is too large to be looked up."""
        if len(call.body) > MAX_BODY:
            return None
        if call.format == Format.V2_JSON and call.json_length != 0:
            return self._json(call)
        body, id = call.body, None
        if call.format == Format.V2_PROTO:
            body, id = canonical.proto(bytes(body))
        return Subject(self._key(call, -1, body), body, call.json_length, id)

    def _json(self, call: Call) -> Subject:
        end = call.json_length
        whole = bytes(call.body)
        text, raw = (whole, b"") if end < 0 else (whole[:end], whole[end:])
        found = canonical.json(text) if len(text) <= MAX_PARSED else None
        if found is None:
            found = canonical.without_leading_id(text) or (text, None)
        meaning, id = found
        key = self._key(call, -1 if end < 0 else len(meaning), meaning, raw)
        if id is None:
            return Subject(key, call.body, end, None)
        return Subject(key, meaning + raw, end if end < 0 else len(meaning), id)

    def _key(self, call: Call, border: int, *parts: bytes | bytearray | memoryview) -> bytes:
        digest = self._start.copy()
        if call.tenant and not self._public:
            tenant = call.tenant.encode()
            digest.update(b"%d %b" % (len(tenant), tenant))
        digest.update(b" %d %d " % (call.format, border))
        for part in parts:
            digest.update(part)
        return digest.digest()
