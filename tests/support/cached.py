"""A caching dispatch with a model that answers by hand, on virtual time."""

from __future__ import annotations

from shoal.core.call import Dispatch
from shoal.core.metrics import Metrics
from shoal.serving.caching.dispatch import CachingDispatch
from shoal.serving.caching.instruments import CacheFamilies, CacheInstruments
from shoal.serving.caching.store import AnswerStore
from support.asked import AskedCall, HandModel, ask
from support.virtual_loop import VirtualLoop

MIB = 1 << 20


class CacheBench:
    """See the module.

    Attributes:
        calls: all that were submitted.
    """

    def __init__(
        self,
        *,
        seconds: float = 30.0,
        bytes: int = MIB,
        model: Dispatch | None = None,
        loop: VirtualLoop | None = None,
    ) -> None:
        self.loop = loop or VirtualLoop()
        self.clock = self.loop.clock
        self.model = HandModel()
        self.instruments = CacheInstruments(CacheFamilies(Metrics()), "m", "")
        self.share = AnswerStore(MIB).share(bytes, self.instruments)
        self.cache = CachingDispatch(
            model or self.model,
            prefix=b"version",
            seconds=seconds,
            share=self.share,
            instruments=self.instruments,
            clock=self.clock,
            loop=self.loop,
            name="m",
        )
        self.calls: list[AskedCall] = []

    def submit(
        self, body: bytes | None = None, *, timeout: float = 60.0, level: int = 1, **fields: object
    ) -> AskedCall:
        call = AskedCall(body or ask(), arrived=self.clock.now, timeout=timeout, level=level, **fields)  # type: ignore[arg-type]
        self.calls.append(call)
        self.cache.submit(call)
        return call

    def counts(self) -> tuple[float, float, float, float]:
        """Hits, misses, joined, passed."""
        seen = self.instruments
        return seen.hits.value, seen.misses.value, seen.joined.value, seen.passed.value
