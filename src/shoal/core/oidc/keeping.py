"""An issuer's key set as it is now: fetched beside everything else, used from memory.

Whoever verifies a token never waits for a fetch. The set is fetched again when it is old, and when a token names a key
that is not in it, but at most once a minute, whatever is presented. An issuer that does not answer changes nothing for
a day: its keys are used as they were.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ShoalError, Unavailable
from shoal.core.oidc import keysets
from shoal.core.oidc.keysets import PublicKey

logger = logging.getLogger(__name__)

OLD = 300.0
"""Seconds after which a set is fetched again."""
PAUSE = 60.0
"""Seconds between two fetches, at least."""
FIRST_PAUSE = 5.0
"""The same, while there is no set at all."""
STALE = 86_400.0
"""Seconds for which a set is good without being fetched again."""

Run = Callable[[Callable[[], None]], None]


class KeySource:
    """See the module; may be used from any thread.

    Args:
        where: an https URL, or a file.
        read: the key set's document; by default what `where` names.
        clock: monotonic seconds.
        run: runs a fetch; by default in a thread of its own, which ends with it.
    """

    def __init__(
        self,
        where: str,
        *,
        read: Callable[[], bytes] | None = None,
        clock: Clock = monotonic,
        run: Run | None = None,
    ) -> None:
        self._where = where
        self._read = read or (lambda: read_from(where))
        self._clock = clock
        self._run = run or _in_thread
        self._keys: dict[str, PublicKey] = {}
        self._fetched = 0.0
        self._asked: float | None = None
        self._pending = False
        self._failing = False

    def find(self, kid: str | None) -> PublicKey:
        """The key of an id; without an id the only one there is.

        Raises:
            ValueError: there is no such key.
            Unavailable: the keys are being fetched, or never could be.
        """
        now = self._clock()
        age = now - self._fetched
        keys = self._keys if age < STALE else {}
        found = keys.get("" if kid is None else kid)
        if found is None and kid is None and len(keys) == 1:
            found = next(iter(keys.values()))
        if found is None or age > OLD:
            self.refresh()
        if found is not None:
            return found
        if self._pending or not keys:
            raise Unavailable("the keys of the token's issuer are being fetched", retry_after=1.0)
        raise ValueError("the token is signed with a key that its issuer does not publish")

    def refresh(self) -> None:
        """Fetch the set again, unless that was just done."""
        now = self._clock()
        pause = PAUSE if self._keys else FIRST_PAUSE
        if self._pending or (self._asked is not None and now - self._asked < pause):
            return
        self._asked, self._pending = now, True
        self._run(self._fetch)

    def _fetch(self) -> None:
        try:
            self._keys = keysets.parse(self._read())
            self._fetched = self._clock()
            self._failing = False
        except (OSError, ValueError, ShoalError) as error:
            if not self._failing:
                logger.warning("an issuer's keys cannot be fetched from %s: %s", self._where, error)
            self._failing = True
        finally:
            self._pending = False


def is_url(where: str) -> bool:
    """Whether keys are fetched over the network."""
    return "://" in where


def read_from(where: str) -> bytes:
    """A key set's document.

    Raises:
        OSError, ShoalError: it cannot be had.
    """
    if not is_url(where):
        return Path(where).read_bytes()
    from shoal.core.outgoing.fetching import fetch
    from shoal.core.outgoing.policy import Allow

    allow = Allow(schemes=("https",), private=True, max_bytes=keysets.MAX_BYTES, hops=2)
    return fetch(where, allow, accept="application/json").body


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="issuer keys", daemon=True).start()
