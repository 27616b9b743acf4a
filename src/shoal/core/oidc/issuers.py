"""Whose tokens are believed, and what they grant."""

from __future__ import annotations

from typing import Any

import msgspec

from shoal.core.access import Grant

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""All that can be allowed. Each goes with a public key, so nobody who can verify a token can make one."""
MAX_VALUES = 256
"""Values of a claim that are looked at."""


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer that is trusted.

    Attributes:
        issuer: what `iss` must be, to the letter.
        audience: what `aud` must be, or hold.
        algorithms: of `ALGORITHMS`; a token cannot choose another.
        keys: where its key set is: an https URL, or a file. What a token says about that is never followed.
        claim: which claim's values are looked up in `grants`; ``a.b`` is `b` inside of `a`.
        grants: what each value grants.
        tenant: the claim that says whose quota requests count to; "" is the subject.
    """

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    claim: str = "groups"
    grants: dict[str, tuple[Grant, ...]] = {}
    tenant: str = ""

    def granted(self, claims: dict[str, Any]) -> tuple[Grant, ...]:
        """What these claims grant."""
        values = values_of(claims, self.claim)
        return tuple(grant for value in values for grant in self.grants.get(value, ()))


def values_of(claims: dict[str, Any], path: str) -> list[str]:
    """The values of a claim, each once: a list of texts, or words of one text."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        found = [found, *found.split()]
    if not isinstance(found, list):
        return []
    return list(dict.fromkeys(value for value in found[:MAX_VALUES] if isinstance(value, str)))
