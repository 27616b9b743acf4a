"""Workers that are killed, frozen, out of memory or poisoned, under load: nobody else is hurt.

Every case holds the same accounts: each request has exactly one outcome in time, each answer is the oracle's for its own
input, and the node's own process is the one it was.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import requests

from shoal.client import AsyncClient
from shoal.core.errors import DeadlineExceeded, PoisonInput, ShoalError
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
    faulty_model(folder, "slow", timeout=0.5, execution=0.5)
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


@pytest.mark.parametrize("kills", [12, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_random_kills_under_load_cost_no_request_an_error(node: RunningNode, kills: int) -> None:
    chance = random.Random(7)

    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20, retries=0) as client:
            async with load(client, callers=8) as ledger:
                for _ in range(kills):
                    await asyncio.sleep(chance.uniform(0.05, 0.25))
                    await until(lambda: len(workers(node.process.pid)) >= 6)
                    os.kill(chance.choice(workers(node.process.pid)), signal.SIGKILL)
                await asyncio.sleep(0.5)
            assert set(ledger.outcomes) == {"ok"}, ledger.outcomes
            await until(lambda: len(workers(node.process.pid)) >= 6)

    run(scenario)
    assert node.process.poll() is None


def test_a_frozen_worker_is_found_and_replaced(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            await client.predict_all("slow", ["a"])
            before = set(workers(node.process.pid))
            for pid in before:
                os.kill(pid, signal.SIGSTOP)
            try:
                started = time.monotonic()
                with pytest.raises(DeadlineExceeded):
                    await client.predict_all("slow", ["b"], timeout=5)
                assert time.monotonic() - started < 0.5 * 1.1 + 0.25
                await until(lambda: bool(before - set(workers(node.process.pid))), seconds=0.5 + 1.0 + 0.5)
            finally:
                for pid in before:
                    try:
                        os.kill(pid, signal.SIGCONT)
                    except ProcessLookupError:
                        continue
            assert await retried(client, "slow", "c") == "ok:c"

    run(scenario)


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


def test_a_model_that_hangs_holding_the_lock_times_out_and_recovers(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await client.predict_all("slow", ["hang"])
            assert 0.45 <= time.monotonic() - started <= 0.5 * 1.1 + 0.1
            assert await retried(client, "slow", "fine") == "ok:fine"

    run(scenario)


def test_poison_in_a_batch_of_32_costs_its_neighbours_nothing(node: RunningNode) -> None:
    async def scenario() -> None:
        async with AsyncClient(node.url, timeout=20) as client:
            await client.predict_all("faults", ["warm"])
            texts = [f"t{number}" for number in range(31)]
            texts.insert(13, "segv")
            deaths = await restarts(node, "faults")
            answers = await asyncio.gather(
                *(client.predict_all("faults", [text]) for text in texts), return_exceptions=True
            )
            for text, answer in zip(texts, answers, strict=True):
                if text == "segv":
                    assert isinstance(answer, PoisonInput)
                else:
                    assert answer == [f"ok:{text}"]
            died = await restarts(node, "faults") - deaths
            assert 1 <= died <= 6
            for _ in range(20):
                with pytest.raises(PoisonInput):
                    await client.predict_all("faults", ["segv"])
            assert await restarts(node, "faults") - deaths == died, "a repeat costs no death"

    run(scenario)


async def restarts(node: RunningNode, model: str) -> int:
    """Deaths of a model's workers, as its metrics count them."""
    answer = await asyncio.to_thread(requests.get, f"{node.url}/metrics", timeout=5)
    lines = [line for line in answer.text.splitlines() if line.startswith("shoal_worker_restarts_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if f'model="{model}"' in line)


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
