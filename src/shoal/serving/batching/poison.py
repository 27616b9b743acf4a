"""Inputs that have killed workers, remembered by fingerprint, for a while, and not too many of them. Pure.

While nothing is remembered, nothing is hashed: requests pay for this only after a poison was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from shoal.core.call import Call

TTL = 600.0
"""Seconds for which an input is refused."""
MAX_REMEMBERED = 1024
"""Fingerprints kept; the oldest is forgotten first."""


class PoisonTable:
    """See the module.

    Args:
        model: name and version: the same input may be harmless to another.
    """

    def __init__(self, model: str, *, ttl: float = TTL, limit: int = MAX_REMEMBERED) -> None:
        self._key = blake2b(model.encode(), digest_size=16).digest()
        self._ttl = ttl
        self._limit = limit
        self.until: dict[bytes, float] = {}
        """Fingerprint -> when it may be tried again (monotonic seconds), oldest first."""

    def fingerprint(self, call: Call) -> bytes:
        """What identifies an input of this model version, whoever sends it."""
        head = b"%d %d " % (call.format, call.json_length)
        digest = blake2b(head, digest_size=16, key=self._key)
        digest.update(call.body)
        return digest.digest()

    def remember(self, call: Call, now: float) -> None:
        """Refuse this input from now on."""
        mark = self.fingerprint(call)
        self.until.pop(mark, None)
        self.until[mark] = now + self._ttl
        while len(self.until) > self._limit:
            del self.until[next(iter(self.until))]

    def refuses(self, call: Call, now: float) -> bool:
        """Whether this input has killed a worker of late."""
        self._forget(now)
        return bool(self.until) and self.fingerprint(call) in self.until

    def alike(self, culprit: Call, calls: Iterable[Call]) -> list[Call]:
        """Those of the calls that have the content of this one; only what is as long is hashed."""
        marks = (culprit.format, culprit.json_length, len(culprit.body))
        close = [each for each in calls if (each.format, each.json_length, len(each.body)) == marks]
        mark = self.fingerprint(culprit) if close else b""
        return [each for each in close if self.fingerprint(each) == mark]

    def _forget(self, now: float) -> None:
        while self.until:
            mark = next(iter(self.until))
            if self.until[mark] > now:
                return
            del self.until[mark]
