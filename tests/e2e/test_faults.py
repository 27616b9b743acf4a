"""Models that take too much memory or fail for one item, callers that leave, a node that dies: nobody else is hurt.

Workers that are killed, hang or are poisoned are campaigns (`tests/chaos`).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shoal.client import AsyncClient
from shoal.core.errors import ShoalError
from shoal.testing.faults import oracle
from shoal.testing.node import RunningNode, serve
from support.faulty_models import faulty_model
from support.processes import descriptors, workers

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("faulty")
    faulty_model(folder, "oracle", kind="OracleModel", workers=2)
    faulty_model(folder, "faults", policy="fixed", size=32, wait=100)
    faulty_model(folder, "small", more=", memory_bytes: 400Mi")
    faulty_model(folder, "four", policy="fixed", size=4, wait=2000)
    with serve(folder) as running:
        yield running


class Ledger:
    """What became of each request."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.sent = 0

    async def ask(self, client: AsyncClient, text: str, timeout: float = 20.0) -> None:
        self.sent += 1
        try:
            (answer,) = await client.predict_all("oracle", [text], timeout=timeout)
        except ShoalError as error:
            self.outcomes[error.code] += 1
        else:
            self.outcomes["ok"] += 1
            if answer != oracle(text, ""):
                self.wrong.append(text)


@asynccontextmanager
async def load(client: AsyncClient, callers: int) -> AsyncIterator[Ledger]:
    """Keep so many callers busy until the end of the block; then everyone must have an outcome."""
    ledger, stop = Ledger(), asyncio.Event()

    async def caller(number: int) -> None:
        turn = 0
        while not stop.is_set():
            await ledger.ask(client, f"{number}-{turn}")
            turn += 1

    tasks = [asyncio.ensure_future(caller(number)) for number in range(callers)]
    try:
        yield ledger
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert sum(ledger.outcomes.values()) == ledger.sent
    assert ledger.wrong == []


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.01)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(main())


async def retried(client: AsyncClient, model: str, text: str) -> str:
    """The answer, waiting for the model to be back."""
    for _ in range(100):
        try:
            (answer,) = await client.predict_all(model, [text])
        except ShoalError:
            await asyncio.sleep(0.05)
        else:
            return str(answer)
    raise AssertionError("the model never came back")


def test_a_model_that_takes_too_much_memory_is_killed_alone(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            async with load(client, callers=4) as ledger:
                with pytest.raises(ShoalError) as raised:
                    await client.predict_all("small", ["allocate:2000"])
                assert raised.value.code in {"model_error", "poison_input", "unavailable"}
                assert await retried(client, "small", "fine") == "ok:fine"
            assert set(ledger.outcomes) == {"ok"}

    run(scenario)


def test_one_caller_that_leaves_a_batch_of_four_hurts_nobody(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            calls = [asyncio.ensure_future(client.predict_all("four", [f"c{number}"])) for number in range(3)]
            await asyncio.sleep(0.2)
            calls[1].cancel()
            await asyncio.sleep(0.05)
            calls += [asyncio.ensure_future(client.predict_all("four", [f"d{number}"])) for number in range(2)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(answers[1], asyncio.CancelledError)
            assert [*answers[:1], *answers[2:]] == [["ok:c0"], ["ok:c2"], ["ok:d0"], ["ok:d1"]]

    run(scenario)


def test_errors_of_one_item_reach_its_caller_alone(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            texts = ["a", "raise", "b", "item:no", "c"]
            answers = await asyncio.gather(
                *(client.predict_all("faults", [text]) for text in texts), return_exceptions=True
            )
            assert [answers[0], answers[2], answers[4]] == [["ok:a"], ["ok:b"], ["ok:c"]]
            assert isinstance(answers[1], ShoalError)
            assert isinstance(answers[3], ShoalError)

    run(scenario)


def test_nothing_is_left_open_after_all_this(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            await client.predict_all("oracle", ["x"])
        before = descriptors(node.process.pid)
        for _ in range(3):
            async with AsyncClient(node.url, timeout=20) as client:
                await asyncio.gather(*(client.predict_all("oracle", [str(number)]) for number in range(50)))
        await until(lambda: descriptors(node.process.pid) <= before + 2)

    run(scenario)


def test_no_worker_outlives_its_node(tmp_path: Path) -> None:
    faulty_model(tmp_path, "oracle", kind="OracleModel")
    with serve(tmp_path) as node:
        orphans = workers(node.process.pid)
        assert orphans
        node.process.kill()
        node.process.wait()
        deadline = time.monotonic() + 5
        while any(Path(f"/proc/{pid}").exists() and not _is_zombie(pid) for pid in orphans):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
