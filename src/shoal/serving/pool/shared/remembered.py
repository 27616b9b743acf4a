"""What a shared pool remembers of models that are not in memory: bounded, the least recently seen are forgotten.

Of registered files (those with a digest) it is what a worker found out when it examined them, so that the next load
need not. Of all it is why they were let go of last, and whether loads have failed: then none is tried again before a
back-off is over, which doubles with each failure.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import msgspec

from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, Limits, ModelSpec

FIRST_BACKOFF = 1.0
LAST_BACKOFF = 60.0
"""Seconds after a failed load before another one is tried."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Loaded).decode


class Memory:
    """What is remembered of one model; small, as there may be very many.

    Attributes:
        gone: why it was let go of last, or "".
        failure: why the last load failed, or "".
        failures: loads in a row that failed.
        deaths: workers in a row that died while they loaded it.
        until: monotonic seconds before which no load is tried.
    """

    __slots__ = ("_loaded", "deaths", "failure", "failures", "gone", "until")

    def __init__(self) -> None:
        self._loaded = b""
        self.gone = ""
        self.failure = ""
        self.failures = 0
        self.deaths = 0
        self.until = 0.0

    @property
    def loaded(self) -> Loaded | None:
        """What a worker said of it, or None. It is kept as bytes: a third of what the objects take."""
        return _decode(self._loaded) if self._loaded else None

    def succeeded(self, loaded: Loaded, *, keep: bool) -> None:
        """A load was good. `keep`: what was said holds for the next one, too."""
        self._loaded = _encode(loaded) if keep else b""
        self.failure, self.failures, self.deaths, self.until = "", 0, 0, 0.0

    def failed(self, why: str, now: float) -> float:
        """A load has failed; seconds to wait before another one."""
        delay = min(LAST_BACKOFF, FIRST_BACKOFF * (1 << min(self.failures, 16)))
        self.failure, self.failures, self.until = why, self.failures + 1, now + delay
        return delay


class Remembered:
    """The memories, by content of the model.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._memories: OrderedDict[bytes, Memory] = OrderedDict()

    def __len__(self) -> int:
        return len(self._memories)

    def of(self, key: bytes) -> Memory:
        """What is remembered of a model; an empty memory if nothing is."""
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = Memory()
            if len(self._memories) > self._most:
                self._memories.popitem(last=False)
        else:
            self._memories.move_to_end(key)
        return memory

    def peek(self, key: bytes) -> Memory | None:
        """The same, without any effect."""
        return self._memories.get(key)


def content_key(spec: ModelSpec) -> bytes:
    """Alike for specs that a worker cannot tell apart, but for their name: same files, same settings."""
    if spec.digest:
        spec = msgspec.structs.replace(spec, name="", version="", tenant="", path="", description="")
    return blake2b(
        _encode(msgspec.structs.replace(spec, batching=Batching(), limits=Limits())), digest_size=16
    ).digest()
