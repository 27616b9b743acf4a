"""The load generator: who sends when, and what is counted.

    open loop     requests leave at times set beforehand (`arrivals`), whether or not earlier ones were answered. A
                  latency counts from the time at which its request *should* have left, so a server that stalls cannot
                  hide its stall by keeping the next request waiting (no coordinated omission).
    closed loop   N callers, each sends when its last answer is there. Shows the most that N callers get.

Time, sleep and randomness are arguments. What a request is, `Send` knows.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from random import Random
from typing import Literal

from shoal.client.histogram import Histogram
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ShoalError

Send = Callable[[], Awaitable[object]]
"""Sends one request; returns when the right answer is there, raises `ShoalError` otherwise."""

Sleep = Callable[[float], Awaitable[None]]

TICK = 0.001
"""Seconds that timers may be late. The open loop wakes up so much earlier, and counts from what came first, the moment
of sending or the one intended; so the clock's coarseness is not taken for the server's latency."""

DROPPED = "not_sent"
"""The code under which an open loop counts requests that it could not send because too many were unanswered."""


def arrivals(
    rate: float, seconds: float, *, kind: Literal["poisson", "constant"] = "poisson", rng: Random | None = None
) -> Iterator[float]:
    """Ascending offsets in seconds, below `seconds`, at which requests leave.

    Args:
        rate: requests per second in the long run.
        seconds: for how long.
        kind: ``poisson`` (independent callers) or ``constant`` (one every `1/rate`).
        rng: where chance comes from.
    """
    if kind == "constant":
        yield from (number / rate for number in range(math.ceil(rate * seconds)) if number / rate < seconds)
        return
    rng = rng or Random()  # noqa: S311
    offset = rng.expovariate(rate)
    while offset < seconds:
        yield offset
        offset += rng.expovariate(rate)


class Recorder:
    """What a run has shown so far; read it at any time for a live view."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self.latency = Histogram()
        self.errors: Counter[str] = Counter()
        self.samples: dict[str, str] = {}
        self.sent = 0
        self.in_flight = 0
        self.started = clock()
        self.ended: float | None = None

    @property
    def ok(self) -> int:
        """Right answers."""
        return self.latency.count

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or of the whole run."""
        return (self._clock() if self.ended is None else self.ended) - self.started

    @property
    def throughput(self) -> float:
        """Right answers per second."""
        return self.ok / self.elapsed if self.elapsed > 0 else 0.0

    def fail(self, code: str, message: str) -> None:
        """Count an error and keep the first sentence of each code."""
        self.errors[code] += 1
        self.samples.setdefault(code, message)

    async def measure(self, send: Send, intended: float) -> None:
        """Send one request and count its outcome; its latency counts from `intended`."""
        self.sent += 1
        self.in_flight += 1
        try:
            await send()
            self.latency.record(self._clock() - intended)
        except ShoalError as error:
            self.fail(error.code, error.message)
        finally:
            self.in_flight -= 1


async def run_open(
    send: Send,
    offsets: Iterable[float],
    recorder: Recorder,
    *,
    clock: Clock = monotonic,
    sleep: Sleep = asyncio.sleep,
    most_in_flight: int = 10_000,
) -> None:
    """Send at `offsets` (seconds from now) and wait for all answers.

    Above `most_in_flight` unanswered requests the next ones are counted as `DROPPED` instead of being sent.
    """
    start = recorder.started = clock()
    try:
        async with asyncio.TaskGroup() as group:
            for offset in offsets:
                intended = start + offset
                await sleep(max(0.0, intended - TICK - clock()))
                if recorder.in_flight >= most_in_flight:
                    recorder.fail(DROPPED, f"{most_in_flight} requests were waiting for their answers")
                else:
                    group.create_task(recorder.measure(send, min(intended, clock())), name="load-open")
    finally:
        recorder.ended = clock()


async def run_closed(
    send: Send, concurrency: int, seconds: float, recorder: Recorder, *, clock: Clock = monotonic
) -> None:
    """Let `concurrency` callers send one after another for `seconds`, and wait for their last answers."""
    end = clock() + seconds
    recorder.started = clock()

    async def caller() -> None:
        while (now := clock()) < end:
            await recorder.measure(send, now)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(caller(), name="load-closed")
    finally:
        recorder.ended = clock()
