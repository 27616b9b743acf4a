"""What was denied, counted by who wanted what, until somebody takes it for the audit log.

Anybody can cause it without end, so there is a bound of what is told apart: the rest is one count. No attempt is left
out of the counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from shoal.core.access import Permission
from shoal.core.errors import ShoalError
from shoal.core.keyring import OTHERS, Denied
from shoal.core.service import parse_address

KEPT = 64
"""What is told apart between two takings."""
MAX_TEXT = 200

_Key = tuple[str, str, str, str]
_OTHERS: _Key = (OTHERS, "", "", "")


class _Seen:
    """What came under one key."""

    __slots__ = ("count", "first", "last", "source")

    def __init__(self, now: float) -> None:
        self.count = 0
        self.first = self.last = now
        self.source = ""


class Denials:
    """See the module.

    Args:
        kept: what is told apart at most.
        now: Unix seconds.
    """

    def __init__(self, *, kept: int = KEPT, now: Callable[[], float] = time.time) -> None:
        self._kept = kept
        self._now = now
        self._seen: dict[_Key, _Seen] = {}

    def note(self, error: ShoalError, who: str, source: str, any_of: Sequence[Permission] = (), name: str = "") -> None:
        """Count an attempt.

        Args:
            error: what is answered.
            who: id of whoever it was, or seems to be.
            source: the address that it came from.
            any_of: the permissions of which one would have been enough.
            name: address of the model or service that it was about, as somebody has written it.
        """
        now = self._now()
        key = (error.code, who[:MAX_TEXT], any_of[0] if any_of else "", name[:MAX_TEXT])
        seen = self._seen.get(key)
        if seen is None:
            seen = self._make(key, now)
        seen.count += 1
        seen.last = now
        seen.source = source

    def _make(self, key: _Key, now: float) -> _Seen:
        others = self._seen.get(_OTHERS)
        if len(self._seen) - (others is not None) < self._kept:
            seen = self._seen[key] = _Seen(now)
            return seen
        if others is None:
            others = self._seen[_OTHERS] = _Seen(now)
        return others

    def __len__(self) -> int:
        """What is told apart just now."""
        return len(self._seen)

    def take(self) -> tuple[Denied, ...]:
        """What was counted since it was taken last."""
        seen, self._seen = self._seen, {}
        return tuple(_told(key, each) for key, each in seen.items())


def _told(key: _Key, seen: _Seen) -> Denied:
    kind, who, permission, name = key
    model, _, namespace = parse_address(name) if name else ("", "", "")
    return Denied(
        kind=kind,
        who=_plain(who),
        permission=permission,
        namespace=_plain(namespace),
        model=_plain(model),
        count=seen.count,
        first=seen.first,
        last=seen.last,
        source=_plain(seen.source),
    )


def _plain(text: str) -> str:
    """Text from outside, such that it can be shown."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
