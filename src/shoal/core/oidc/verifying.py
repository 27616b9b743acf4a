"""From a token to whoever it stands for. The library `pyjwt` does the cryptography; what may be believed is said here.

    text ──▶ short enough, signed, not encrypted ──▶ an issuer of ours ──▶ its algorithms, its key ──▶ signature, claims

The token chooses nothing: not the algorithm, not where its key comes from (`jku`, `x5u`, `jwk` and the like are not
looked at), not how it is to be read (`crit`). Its `iss`, `aud`, `exp` and `sub` must be there; `nbf` and `iat` are
believed where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from shoal.core.access import Principal
from shoal.core.errors import ConfigError
from shoal.core.oidc.issuers import Issuer
from shoal.core.oidc.keeping import KeySource
from shoal.core.oidc.keysets import PublicKey

MAX_TOKEN = 8192
"""Characters of a token; a longer one is refused before anything in it is read."""
LEEWAY = 30
"""Seconds by which clocks may differ."""
MAX_NAME = 256
_NAMES = ("preferred_username", "email", "name")


class Keys(Protocol):
    """The keys of one issuer."""

    def find(self, kid: str | None) -> PublicKey: ...


class Verifier:
    """Verifies tokens of the issuers that are trusted.

    Args:
        issuers: which.
        keys: of each, by the name of the issuer; by default from where each says.

    Raises:
        ConfigError: the library is missing.
    """

    def __init__(self, issuers: Iterable[Issuer], keys: Mapping[str, Keys] | None = None) -> None:
        try:
            import cryptography  # noqa: F401 - without it the library knows no public keys
            import jwt
        except ModuleNotFoundError as error:
            raise ConfigError(f"tokens need {error.name}", hint="pip install 'shoal[oidc]'") from error
        self._jwt = jwt
        self._issuers = {each.issuer: each for each in issuers}
        self._keys: Mapping[str, Keys] = keys or {name: KeySource(each.keys) for name, each in self._issuers.items()}

    def start(self) -> None:
        """Begin to fetch the keys of all issuers, so that the first token need not wait."""
        for source in self._keys.values():
            if isinstance(source, KeySource):
                source.refresh()

    def prove(self, text: str) -> tuple[Principal, float]:
        """Whoever a token stands for, and the Unix time at which it expires.

        Raises:
            ValueError: it proves nothing; the sentence does not hold it.
            Unavailable: the issuer's keys are not there yet.
        """
        if len(text) > MAX_TOKEN:
            raise ValueError("the token is too long")
        if text.count(".") != 2:
            raise ValueError("this is neither an API key nor a signed token")
        issuer = self._issuer(text)
        algorithm, kid = self._header(text)
        if algorithm not in issuer.algorithms:
            raise ValueError("the token is signed in a way that is not accepted")
        key = self._keys[issuer.issuer].find(kid)
        if algorithm not in key.algorithms:
            raise ValueError("the token is signed in a way that its key is not for")
        claims = self._claims(text, issuer, algorithm, key)
        return _principal(issuer, claims), float(claims["exp"])

    def _issuer(self, text: str) -> Issuer:
        claims = self._read(lambda: self._jwt.decode(text, options={"verify_signature": False}))
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise ValueError("the token's issuer is not trusted here")
        return issuer

    def _header(self, text: str) -> tuple[str, str | None]:
        header = self._read(lambda: self._jwt.get_unverified_header(text))
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or not isinstance(kid, str | None) or "crit" in header:
            raise ValueError("the token's header is not understood")
        return algorithm, kid

    def _claims(self, text: str, issuer: Issuer, algorithm: str, key: PublicKey) -> dict[str, Any]:
        return self._read(
            lambda: self._jwt.decode(
                text,
                key.key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        )

    def _read(self, work: Any) -> dict[str, Any]:
        """What the library says, its errors in our words."""
        jwt = self._jwt
        try:
            found: dict[str, Any] = work()
        except jwt.ExpiredSignatureError:
            raise ValueError("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise ValueError("the token is not valid yet") from None
        except jwt.InvalidAudienceError:
            raise ValueError("the token is meant for somebody else") from None
        except jwt.MissingRequiredClaimError as error:
            raise ValueError(f"the token lacks the claim {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise ValueError("the token is not valid") from None
        return found


def _principal(issuer: Issuer, claims: dict[str, Any]) -> Principal:
    subject = str(claims["sub"])[:MAX_NAME]
    name = next((claims[each] for each in _NAMES if _is_text(claims.get(each))), subject)
    tenant = claims.get(issuer.tenant) if issuer.tenant else subject
    return Principal(
        id=f"{issuer.issuer}#{subject}",
        name=str(name)[:MAX_NAME],
        grants=issuer.granted(claims),
        tenant=str(tenant)[:MAX_NAME] if _is_text(tenant) else subject,
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
