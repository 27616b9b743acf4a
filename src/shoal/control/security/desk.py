"""The desk: who asks, may they, and a record if they may not.

Authentication is on when the settings say so, or as soon as there is a key; until then whoever reaches the port, which
only this machine does, is everybody. Once there was a key it stays on, also when all keys are revoked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.control.audit.denials import Denials
from shoal.control.caller import Caller
from shoal.control.security.authenticating import Authenticator, KeyAuthenticator
from shoal.control.security.backoff import Backoff
from shoal.control.security.rules import Outcome, Rule, Target, Where, judge
from shoal.core import keys
from shoal.core.access import ANY, EVERYBODY, Permission, Principal
from shoal.core.errors import NotFound, PermissionDenied, ShoalError, TooManyAttempts, Unauthenticated
from shoal.core.settings.control import AuthMode


class Hidden(NotFound):
    """Something that somebody may not know of; told like what is not there."""

    def __init__(self) -> None:
        hint = "check the name, and what your key may do"
        super().__init__("there is no such thing, or it is not yours to see", hint=hint)


class Desk:
    """See the module. Its methods may be called from any thread.

    Args:
        mode: ``auto``: on as soon as there is a key; ``none``: never; ``keys``: always.
        own: the authenticator of keys.
        others: of other kinds of credentials.
        certified: who the names in clients' certificates are.
        backoff: of those who fail.
        denials: where it is written down.
    """

    def __init__(
        self,
        mode: AuthMode,
        own: KeyAuthenticator,
        denials: Denials,
        *,
        others: Sequence[Authenticator] = (),
        certified: Mapping[str, Principal] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._mode = mode
        self._keys = own
        self._kinds: tuple[Authenticator, ...] = (own, *others)
        self._certified = certified or {}
        self._denials = denials
        self._backoff = Backoff() if backoff is None else backoff

    @property
    def is_on(self) -> bool:
        """Whether anybody has to say who they are."""
        return self._mode == "keys" or (self._mode == "auto" and self._keys.exist())

    def keys_changed(self) -> None:
        """A key was made or revoked: it counts from the next request on."""
        self._keys.forget()

    def admit(self, credential: str, source: str, route: str, request: str, certificate: str = "") -> Principal:
        """Who shows this credential ("" for none).

        Args:
            source: the address that the request came from.
            route, request: for the record of a failure.
            certificate: the name in the certificate that TLS has verified; it counts where there is no credential.

        Raises:
            Unauthenticated: nobody who is known.
        """
        if not self.is_on:
            return EVERYBODY
        try:
            return self._known(credential, certificate)
        except Unauthenticated as error:
            told = self._failed(credential, source, error)
            if not isinstance(told, TooManyAttempts):
                detail: dict[str, str] = {"route": route, "source": source, "reason": error.message}
                detail |= {"certificate": certificate} if certificate else {}
                self._denials.record("", "authenticate", "", _id(credential), detail, request)
            raise told from None

    def denied(self, caller: Caller, target: Target | None, route: str, error: ShoalError) -> None:
        """Write down that somebody wanted something and may not."""
        namespace, model = target or ("", "")
        subject = "" if model == ANY else model
        detail = {"reason": error.message}
        self._denials.record(caller.principal.id, route, namespace, subject, detail, caller.request)

    def _known(self, credential: str, certificate: str) -> Principal:
        if not credential and certificate in self._certified:
            return self._certified[certificate]
        if not credential:
            hint = "set SHOAL_API_KEY, or name a file with `shoal --key-file FILE`"
            raise Unauthenticated("this control wants an API key", hint=hint)
        for kind in self._kinds:
            if (found := kind.principal(credential)) is not None:
                return found
        raise Unauthenticated("this is no credential that is known here", hint="send `Authorization: Bearer KEY`")

    def _failed(self, credential: str, source: str, error: Unauthenticated) -> Unauthenticated:
        """The failure as it is told: 429 in place of 401 for those who were told to wait."""
        if not credential:
            return error
        names = [f"from {source}", *([f"key {found}"] if (found := _id(credential)) else [])]
        left = self._backoff.failed(*names)
        if not left:
            return error
        return TooManyAttempts("too many attempts with keys that are not right", hint="wait", retry_after=left)


def check(principal: Principal, rule: Rule, target: Target | None) -> None:
    """Let through whoever may use a route.

    Raises:
        PermissionDenied: they may see what the route is about, and not do this.
        Hidden: they may not even see it.
    """
    outcome = judge(rule, principal, target)
    if outcome is Outcome.HIDDEN:
        raise Hidden
    if outcome is Outcome.FORBIDDEN:
        raise _forbidden(" or ".join(rule.any_of), target)


def require(principal: Principal, permission: Permission, namespace: str, model: str = ANY) -> None:
    """Let through whoever holds a permission on something that a body names.

    Raises:
        PermissionDenied, Hidden: as for `check`.
    """
    check(principal, Rule(Where.NAMED, (permission,)), (namespace, model))


def shown(error: NotFound, principal: Principal, target: Target | None) -> NotFound:
    """What is not there, as somebody may be told: in full only who sees all that its hint could name."""
    whole = principal.allows(Permission.READ, ANY if target is None else target[0])
    return error if whole else Hidden()


def _forbidden(wanted: str, target: Target | None) -> PermissionDenied:
    of = "" if target is None else f" of {target[0][:100]!a}" + (f"/{target[1][:100]!a}" if target[1] != ANY else "")
    hint = "ask who manages the namespace's keys for one that may"
    return PermissionDenied(f"your key may not do this{of}: it takes the permission {wanted}", hint=hint)


def _id(credential: str) -> str:
    try:
        return keys.parse(credential)
    except ValueError:
        return ""
