"""Tokens of OpenID Connect issuers as a kind of credential of the control port."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.access import Principal
from shoal.core.errors import Unauthenticated
from shoal.core.oidc.issuers import Issuer
from shoal.core.oidc.verifying import Verifier


class TokenAuthenticator:
    """An `authenticating.Authenticator`.

    Args:
        verifier: knows the issuers that are trusted.
    """

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def principal(self, credential: str) -> Principal | None:
        """Whom a token stands for; None for what is none.

        Raises:
            Unauthenticated: it is a token, and stands for nobody.
            Unavailable: its issuer's keys are not there yet.
        """
        if credential.count(".") != 2:
            return None
        try:
            return self._verifier.prove(credential)[0]
        except ValueError as error:
            raise Unauthenticated(str(error)) from None


def tokens_of(issuers: Sequence[Issuer]) -> tuple[TokenAuthenticator, ...]:
    """What knows the tokens of these issuers; nothing where there are none.

    Raises:
        ConfigError: the library is missing.
    """
    if not issuers:
        return ()
    verifier = Verifier(issuers)
    verifier.start()
    return (TokenAuthenticator(verifier),)
