"""A model runner with real worker processes, and calls that can be awaited."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop

from shoal.core.call import Call, Format
from shoal.core.clock import monotonic
from shoal.core.errors import ShoalError
from shoal.core.metrics import Metrics
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.serving.batching.instruments import Instruments
from shoal.serving.batching.runner import ModelRunner
from shoal.serving.pool.pool import Pool

FAKE_WORKER = (sys.executable, "-P", str(Path(__file__).with_name("fake_worker.py")))


class AwaitedCall(Call):
    """A call whose outcome is a future."""

    __slots__ = ("outcome",)

    def __init__(self, body: bytes, *, timeout: float = 20.0, format: Format = Format.PREDICT_ALL) -> None:
        now = monotonic()
        super().__init__(format, body, arrived=now, deadline=now + timeout)
        self.outcome: asyncio.Future[bytes | ShoalError] = asyncio.get_running_loop().create_future()

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.outcome.set_result(body)

    def on_error(self, error: ShoalError) -> None:
        self.outcome.set_result(error)


class Running:
    """A started runner."""

    def __init__(self, runner: ModelRunner, instruments: Instruments) -> None:
        self.runner = runner
        self.instruments = instruments

    def submit(self, text: str | bytes, **fields: Any) -> asyncio.Future[bytes | ShoalError]:
        call = AwaitedCall(text.encode() if isinstance(text, str) else text, **fields)
        self.runner.dispatch.submit(call)
        return call.outcome

    async def ask(self, *texts: str, **fields: Any) -> list[str | ShoalError]:
        """Submit all at once; an outcome each."""
        outcomes = await asyncio.gather(*(self.submit(text, **fields) for text in texts))
        return [outcome.decode() if isinstance(outcome, bytes) else outcome for outcome in outcomes]

    @property
    def pids(self) -> list[int]:
        assert isinstance(self.runner.pool, Pool)
        return [member.process.pid for member in self.runner.pool.members if member.process is not None]

    def deaths(self) -> dict[str, int]:
        """Deaths of workers by reason."""
        return {labels[2]: int(child.value) for labels, child in self.instruments.restarts.children.items()}

    async def until(self, condition: Any, seconds: float = 10.0) -> float:
        """Wait for something that processes bring about; how long it took."""
        start = monotonic()
        while not condition():
            assert monotonic() - start < seconds, "it has not come about"
            await asyncio.sleep(0.005)
        return monotonic() - start


@asynccontextmanager
async def make_runner(
    *,
    command: tuple[str, ...] = FAKE_WORKER,
    batching: Batching | None = None,
    limits: Limits | None = None,
    start: bool = True,
    **spec: Any,
) -> AsyncIterator[Running]:
    """A runner that is stopped at the end, and has left nothing behind."""
    instruments = Instruments(Metrics())
    fields = {"name": "m", "path": "/nowhere", "runtime": "python", **spec}
    model = ModelSpec(batching=batching or Batching(), limits=limits or Limits(), **fields)
    running = Running(ModelRunner(model, instruments=instruments, command=command), instruments)
    before, others = descriptors(), set(children())
    try:
        if start:
            await running.runner.start()
        yield running
    finally:
        await running.runner.stop()
        assert set(children()) <= others, "a worker is left"
        await running.until(lambda: len(descriptors() - before) == 0, 1.0)


def descriptors() -> set[str]:
    """Sockets, pipes and files that are open here."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return {each for each in found if "anon_inode" not in each and "/proc/" not in each}


def children() -> list[int]:
    """Processes that this one has started and that are still there."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(word) for word in text.split()]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test on the loop that serves in earnest."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
