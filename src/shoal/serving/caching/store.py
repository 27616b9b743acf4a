"""The answers that a node keeps: one bound for all services, one for each, and the least recently used go first.

A service has a `Share` of the node's `AnswerStore`. An answer is good for so many seconds; one that is older is dropped
when it is asked for, or when room is needed.
"""

from __future__ import annotations

from collections import OrderedDict

from shoal.serving.caching.answers import Answer
from shoal.serving.caching.instruments import CacheInstruments

OVERHEAD = 512
"""Bytes that an entry takes beside its answer."""


class _Entry:
    __slots__ = ("answer", "bytes", "expires", "share")

    def __init__(self, share: Share, answer: Answer, expires: float) -> None:
        self.share = share
        self.answer = answer
        self.expires = expires
        self.bytes = len(answer.body) + OVERHEAD


class AnswerStore:
    """All answers of a node.

    Args:
        max_bytes: what they may take together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[tuple[Share, bytes], _Entry] = OrderedDict()

    def resize(self, max_bytes: int) -> None:
        """Keep so much from now on; the least recently used answers go at once."""
        self.max_bytes = max_bytes
        self._fit()

    def share(self, max_bytes: int, instruments: CacheInstruments) -> Share:
        """A service's part of the store."""
        return Share(self, max_bytes, instruments)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, share: Share, key: bytes, entry: _Entry) -> None:
        """Keep an answer, and let the least recently used ones go until there is room; called by `Share`."""
        self._entries[share, key] = entry
        self.bytes += entry.bytes
        self._fit()

    def _fit(self) -> None:
        while self.bytes > self.max_bytes:
            oldest, old = next(iter(self._entries)), self._entries
            old[oldest].share.evict(oldest[1])

    def touch(self, share: Share, key: bytes) -> None:
        """An answer was used."""
        self._entries.move_to_end((share, key))

    def drop(self, share: Share, key: bytes) -> None:
        """An answer is gone."""
        self.bytes -= self._entries.pop((share, key)).bytes


class Share:
    """The answers of one service; see the module."""

    def __init__(self, store: AnswerStore, max_bytes: int, instruments: CacheInstruments) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._instruments = instruments
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Answer | None:
        """The answer, if there is one that is still good."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        self._store.touch(self, key)
        return entry.answer

    def put(self, key: bytes, answer: Answer, expires: float) -> None:
        """Keep an answer, unless it is larger than all that may be kept."""
        entry = _Entry(self, answer, expires)
        if key in self._entries:
            self._drop(key)
        if entry.bytes > min(self._max_bytes, self._store.max_bytes):
            return
        self._entries[key] = entry
        self.bytes += entry.bytes
        while self.bytes > self._max_bytes:
            self.evict(next(iter(self._entries)))
        self._store.put(self, key, entry)
        self._instruments.bytes.value = self.bytes

    def evict(self, key: bytes) -> None:
        """Let an answer go that is still good, for want of room."""
        self._drop(key)
        self._instruments.evictions.value += 1

    def clear(self) -> None:
        """The service is gone."""
        for key in list(self._entries):
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        self.bytes -= self._entries.pop(key).bytes
        self._store.drop(self, key)
        self._instruments.bytes.value = self.bytes
