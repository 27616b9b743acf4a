"""From a credential to whom it stands for.

A kind of credential is an `Authenticator`; keys are one. Each is asked in turn, and the first that knows the kind
decides. All methods are synchronous and may be called from any thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from shoal.core import keys
from shoal.core.access import ANY, EVERYBODY, AccessTable, Grant, KeyRecord, Principal
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ShoalError, Unauthenticated

logger = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""How long the keys may have been read before: those that another control has revoked are let in no longer."""
USED_SECONDS = 3600.0
"""How exactly it is kept when a key was used last."""
NODE = Principal("node", "a node of this control", (Grant(("node",), ANY),))
"""The node that has started this control."""


class Authenticator(Protocol):
    """One kind of credential."""

    def principal(self, credential: str) -> Principal | None:
        """Whom it stands for; None if it is of another kind.

        Raises:
            Unauthenticated: it is of this kind, and stands for nobody.
        """
        ...


class OwnKey(NamedTuple):
    """A key that lives as long as this process: for whoever has started it."""

    id: str
    sha256: str
    principal: Principal

    @classmethod
    def of(cls, text: str, principal: Principal) -> OwnKey:
        """The key of this text, standing for this principal."""
        return cls(keys.parse(text), keys.digest(text), principal)

    @classmethod
    def local(cls) -> tuple[str, OwnKey]:
        """The text of a new key, and the key: for a command and the control that it runs for itself."""
        text = keys.generate().text
        return text, cls.of(text, EVERYBODY)


class KeyAuthenticator:
    """Keys of the registry, and keys of this process's own.

    Args:
        read: the keys that are valid.
        revision: of those; they are read only when it has changed.
        mark: told of a key that is used, now and then.
        own: keys besides.
        clock, wall: monotonic, and Unix seconds.
    """

    def __init__(
        self,
        read: Callable[[], AccessTable],
        revision: Callable[[], int],
        mark: Callable[[str], None],
        own: Sequence[OwnKey] = (),
        *,
        clock: Clock = monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._read_table = read
        self._read_revision = revision
        self._mark = mark
        self._own = {each.id: each for each in own}
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._at: float | None = None
        self._known: dict[str, KeyRecord] = {}
        self._revision = 0
        self._used: dict[str, float] = {}

    def exist(self) -> bool:
        """Whether there is, or ever was, a key in the registry."""
        self._refresh()
        return self._revision > 0

    def forget(self) -> None:
        """The keys have changed: read them again."""
        with self._lock:
            self._at = None

    def principal(self, credential: str) -> Principal | None:
        """See `Authenticator`."""
        if not credential.startswith("shoal_"):
            return None
        try:
            key_id = keys.parse(credential)
        except ValueError as error:
            raise Unauthenticated(str(error), hint="copy it again, whole") from error
        self._refresh()
        own, record = self._own.get(key_id), self._known.get(key_id)
        if own is not None:
            if keys.matches(credential, own.sha256):
                return own.principal
            raise _unknown()
        if not keys.matches(credential, record.sha256 if record else None) or record is None:
            raise _unknown()
        if record.expires and record.expires <= self._wall():
            raise Unauthenticated("the API key has expired", hint="ask for a new one")
        self._note(key_id)
        return record.principal

    def _refresh(self) -> None:
        with self._lock:
            now = self._clock()
            if self._at is not None and now - self._at < FRESH_SECONDS:
                return
            if self._read_revision() != self._revision:
                table = self._read_table()
                self._known = {each.id: each for each in table.keys}
                self._revision = table.revision
                self._used = {key: at for key, at in self._used.items() if key in self._known}
            self._at = now

    def _note(self, key_id: str) -> None:
        now = self._clock()
        with self._lock:
            last = self._used.get(key_id)
            if last is not None and now - last < USED_SECONDS:
                return
            self._used[key_id] = now
        try:
            self._mark(key_id)
        except ShoalError as error:
            logger.warning("it cannot be kept that a key was used: %s", error)


def _unknown() -> Unauthenticated:
    return Unauthenticated("the API key is not known here, or was revoked", hint="ask for a new one")
