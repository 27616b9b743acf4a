"""Calls many models: `python -m benchmarks.caller` reads a `Plan` and writes an `Outcome`, both as JSON.

One event loop with bare protocols, so that a call costs the caller less than any server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import msgspec
import uvloop

from benchmarks.asking import Loading, Texts, asking_for
from benchmarks.calls import Outcome, Plan
from benchmarks.connection import BadAnswer, Connection

SHOWN = 100


class Caller:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._asking = asking_for(plan)
        self._times = [0.0] * len(plan.models)
        self._failures: list[str] = []
        self._failed = 0

    async def run(self) -> Outcome:
        """All calls, and what came of them."""
        order = iter(range(len(self._plan.models)))
        begun, used = time.perf_counter(), time.process_time()
        await asyncio.gather(*(self._calls(order, begun) for _ in range(self._plan.connections)))
        return self._outcome(time.perf_counter() - begun, time.process_time() - used)

    def _outcome(self, seconds: float, cpu_seconds: float) -> Outcome:
        asking = self._asking
        return Outcome(
            times=self._times,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            failures=self._failures,
            failed=self._failed,
            loads=asking.loads if isinstance(asking, Loading) else 0,
            held=asking.held if isinstance(asking, Loading) else [],
            versions=dict(asking.versions) if isinstance(asking, Texts) else {},
        )

    async def _calls(self, order: Iterator[int], begun: float) -> None:
        """One connection's share."""
        connection = Connection(self._plan.port, self._plan.again)
        for at in order:
            due = await self._due(at, begun)
            try:
                async with asyncio.timeout(self._plan.timeout):
                    await self._asking.ask(connection, self._plan.models[at])
            except (BadAnswer, OSError, TimeoutError, ValueError) as error:
                self._note(at, error)
                connection.close()
            self._times[at] = 1000 * (time.perf_counter() - due)
        connection.close()

    async def _due(self, at: int, begun: float) -> float:
        """When a call is due, once it is: latencies count from then, so that no wait is left out."""
        if not self._plan.rate:
            return time.perf_counter()
        due = begun + at / self._plan.rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        return due

    def _note(self, at: int, error: Exception) -> None:
        self._failed += 1
        if len(self._failures) < SHOWN:
            self._failures.append(f"call {at} of {self._plan.models[at]}: {type(error).__name__} {error}")


def main() -> None:
    """Plan in, outcome out."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(Caller(plan).run())
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
