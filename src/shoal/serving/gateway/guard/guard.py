"""The guard of the data port: from a credential to whoever it stands for, and to what that one may see and do.

    headers ──▶ credential ──▶ memo? ── yes ──▶ Caller ──▶ Places: 404, 403, or the models as that one sees them
                                 │ no
                                 └─▶ source in a pause? 429 ──▶ key or token proved? ── no ──▶ 401

The memo goes by the whole credential. All of it has to be proved again when the keys change, and each credential when
it expires, at the latest after a minute; whoever was known before is not held up by others' wrong keys then. So a
request whose credential was seen before costs two look-ups in dictionaries, and what is refused was never hashed twice.
Only what was proved is remembered: nobody without a key can fill the memo.

Without authentication the guard is off: everybody sees and may do everything, and nothing is looked at.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from shoal.core import keys
from shoal.core.access import AccessTable, KeyRecord, Permission, Principal, expand
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import PermissionDenied, ShoalError, TooManyAttempts, Unauthenticated, Unavailable
from shoal.core.ports import Models
from shoal.serving.gateway.guard import credentials, needs
from shoal.serving.gateway.guard.attempts import attempts, source_of
from shoal.serving.gateway.guard.caller import Caller
from shoal.serving.gateway.guard.denials import Denials
from shoal.serving.gateway.guard.needs import About, Need
from shoal.serving.gateway.guard.sight import Sight, unknown

logger = logging.getLogger(__name__)

KNOWN = 4096
"""Credentials in the memo; when there are more, remembering starts again."""
AGAIN = 60.0
"""Seconds after which a credential is proved again, as clocks are set and tokens expire."""
INFER = (Permission.INFER,)
NOBODY = Caller(Principal("", "nobody"), 0.0)

Headers = Mapping[bytes, bytes]


class Asked(Protocol):
    """What the guard must know of a request beside its headers: see `exchange.Exchange` and `exchange.Rpc`."""

    method: bytes
    arrived: float

    def peer(self) -> str: ...

    def certificate(self) -> str: ...


class Tokens(Protocol):
    """What proves tokens that others have issued."""

    def prove(self, text: str) -> tuple[Principal, float]:
        """Whoever a token stands for, and the Unix time at which it expires.

        Raises:
            ValueError: it proves nothing; the sentence does not hold it.
            Unavailable: the issuer's keys are not there yet.
        """
        ...


class Guard:
    """See the module.

    Args:
        required: whether a credential is needed although no key exists; without it, the first key turns the guard on.
        waiting: whether it is not known yet if there are keys: until then nobody is let in.
        tokens: proves tokens; None: only keys count.
        certificates: who the names in clients' certificates are.
        clock: monotonic seconds.
        now: Unix seconds.

    Attributes:
        on: whether anybody is asked for a credential.
        changes: how often the keys have changed.
        denials: what was denied.
    """

    def __init__(
        self,
        *,
        required: bool = False,
        waiting: bool = False,
        tokens: Tokens | None = None,
        certificates: Mapping[str, Principal] | None = None,
        clock: Clock = monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._required = required
        self._waiting = waiting
        self.on = required or waiting
        self.changes = 0
        self._tokens = tokens
        self._certified = {name: Caller(each, math.inf) for name, each in (certificates or {}).items()}
        self._clock = clock
        self._now = now
        self._keys: dict[str, KeyRecord] = {}
        self._attempts = attempts(clock)
        self._known: dict[bytes | None, Caller] = {}
        self._pages: dict[bytes | None, Caller] = {}
        self.denials = Denials(now=now)

    def replace(self, table: AccessTable) -> None:
        """Let in those of this table from now on, and nobody whom only an earlier one names.

        Keys have existed if the table was ever changed: then the guard stays on when the last of them is revoked.
        """
        self._keys = {record.id: record for record in table.keys if _is_usable(record)}
        for caller in (*self._known.values(), *self._pages.values()):
            caller.until = -math.inf
        self._waiting = False
        self.changes += 1
        self.on = self._required or bool(table.keys) or table.revision > 0

    def tenant(self, asked: Asked, headers: Headers, name: str) -> str:
        """Whom a question to a model counts to: the hot path, for a guard that is on.

        Raises:
            Unauthenticated, TooManyAttempts, NotFound, PermissionDenied: it may not be asked.
        """
        caller = self._known.get(headers.get(credentials.AUTHORIZATION))
        if caller is None or caller.until <= asked.arrived:
            caller = self.who(asked, headers)
        tenant = caller.asks.get(name)
        if tenant is None:
            self._check(asked, caller, INFER, name)
            tenant = caller.may_ask(name)
        return tenant

    def admit(self, asked: Asked, headers: Headers, need: Need, models: Models, name: str = "") -> Models:
        """Let a request through, or not.

        Args:
            asked, headers: the request.
            need: what its route needs.
            models: all that there are.
            name: of the model that it is about; "" for none in particular.

        Returns:
            The models as this caller sees them.

        Raises:
            Unauthenticated, TooManyAttempts: nobody knows who asks.
            NotFound: for this caller there is no such model.
            PermissionDenied: there is, but not for this.
        """
        if not self.on or need.about is About.NOTHING:
            return models
        caller = self.who(asked, headers)
        places = caller.where(need.any_of)
        if name:
            self._check(asked, caller, need.any_of, name)
        elif not (places.everywhere if need.about is About.NODE else places):
            error = _denied(caller, need.any_of, "in all namespaces" if need.about is About.NODE else "somewhere")
            self.denials.note(error, caller.principal.id, asked.peer(), need.any_of)
            raise error
        return models if places.everywhere else Sight(models, places.__contains__)

    def glimpse(self, asked: Asked, headers: Headers, models: Models) -> Models:
        """The models that whoever asks may see; none for nobody. For what is open, but may name a model."""
        if not self.on:
            return models
        try:
            places = self._who(asked, headers).where(needs.SEE)
        except (Unauthenticated, Unavailable):
            places = NOBODY.where(needs.SEE)
        return Sight(models, places.__contains__)

    def who(self, asked: Asked, headers: Headers) -> Caller:
        """Whoever asks.

        Raises:
            Unauthenticated: no credential, or one that proves nothing.
            TooManyAttempts: too many of those came from there.
            Unavailable: it is not known yet who is let in.
        """
        try:
            return self._who(asked, headers)
        except Unauthenticated as error:
            self.denials.note(error, _claimed(headers), asked.peer())
            raise

    def _who(self, asked: Asked, headers: Headers) -> Caller:
        if self._waiting:
            raise Unavailable("it is not known yet who may ask: control has not told", retry_after=1.0)
        value = credentials.presented(headers)
        if value is None:
            shown = self._certified.get(asked.certificate()) if self._certified else None
            if shown is not None and credentials.certificate_counts(asked.method, headers):
                return shown
            raise Unauthenticated("this needs an API key or a token", hint="send it as `Authorization: Bearer KEY`")
        basic = credentials.is_basic(value)
        if basic and not credentials.basic_counts(asked.method, headers):
            raise Unauthenticated(
                "a password counts for pages only", hint="send the key as `Authorization: Bearer KEY`"
            )
        memo = self._pages if basic else self._known
        caller = memo.get(value)
        if caller is None or caller.until <= self._clock():
            memo.pop(value, None)
            caller = self._prove(value, source_of(asked.peer()), known=caller is not None)
            if len(memo) >= KNOWN:
                memo.clear()
            memo[value] = caller
        return caller

    def _prove(self, value: bytes, source: str, *, known: bool) -> Caller:
        if not known and (pause := self._attempts.pause(source)) > 0:
            raise TooManyAttempts(
                "too many wrong credentials came from this address", hint="wait, and check the key", retry_after=pause
            )
        try:
            principal, expires = self._principal(credentials.text_of(value))
        except ValueError as error:
            self._attempts.failed(source)
            raise Unauthenticated(str(error)) from None
        left = min(AGAIN, expires - self._now()) if expires else AGAIN
        return Caller(principal, self._clock() + left)

    def _principal(self, text: str) -> tuple[Principal, float]:
        if not text.startswith("shoal_"):
            if self._tokens is None:
                raise ValueError("this is not an API key")
            return self._tokens.prove(text)
        record = self._keys.get(keys.parse(text))
        if not keys.matches(text, record.sha256 if record else None) or record is None:
            raise ValueError("nobody has this API key, or it was revoked")
        if record.expires and record.expires <= self._now():
            raise ValueError("the API key has expired")
        return record.principal, record.expires

    def _check(self, asked: Asked, caller: Caller, any_of: tuple[Permission, ...], name: str) -> None:
        if name in caller.where(any_of):
            return
        seen = name in caller.where(needs.SEE)
        error: ShoalError = _denied(caller, any_of, f"on {name!r}") if seen else unknown(name)
        self.denials.note(error, caller.principal.id, asked.peer(), any_of, name)
        raise error


def _is_usable(record: KeyRecord) -> bool:
    """Whether all that is granted is known here; a key of a newer control that says more is not let in at all."""
    try:
        for grant in record.grants:
            expand(grant.permissions)
    except ValueError as error:
        logger.warning("a key is not let in: %s", error, extra={"reason": record.id})
        return False
    return True


def _claimed(headers: Headers) -> str:
    """Whose key a credential seems to be; "" if it is none."""
    try:
        return keys.parse(credentials.text_of(credentials.presented(headers) or b""))
    except ValueError:
        return ""


def _denied(caller: Caller, any_of: tuple[Permission, ...], where: str) -> PermissionDenied:
    wanted = f"this needs the permission {' or '.join(any_of)} {where}"
    return PermissionDenied(f"{caller.principal.name!r} may not do this", hint=wanted)
