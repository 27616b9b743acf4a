"""More and fewer workers while calls go on: nobody notices but the clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.core.errors import NotReady, ShoalError
from shoal.core.model import Batching, Limits
from shoal.serving.pool.pool import Pool
from shoal.serving.pool.processes.process import COMMAND
from support.running import Running, make_runner, run

pytestmark = pytest.mark.process


async def flood(model: Running, stop: asyncio.Event, width: int) -> list[bytes | ShoalError]:
    """Keep `width` calls in flight until told to stop; all outcomes."""
    outcomes: list[bytes | ShoalError] = []

    async def caller() -> None:
        while not stop.is_set():
            outcomes.append(await model.submit("sleep:0.001", timeout=60))

    await asyncio.gather(*(caller() for _ in range(width)))
    return outcomes


async def there_and_back(model: Running, workers: int, seconds: float) -> list[bytes | ShoalError]:
    """From one worker to so many and back, under load; every one of them must have been given work."""
    pool = model.runner.pool
    assert isinstance(pool, Pool)
    stop = asyncio.Event()
    load = asyncio.ensure_future(flood(model, stop, workers * 3))
    model.runner.resize(workers)
    assert pool.wanted == workers
    await model.until(lambda: pool.ready == workers, seconds)
    busy: set[int | None] = set()

    def all_busy() -> bool:
        busy.update(member.pid for member in pool.members if member.jobs)
        return len(busy) >= workers

    await model.until(all_busy, seconds)
    model.runner.resize(1)
    await model.until(lambda: len(pool.members) == 1 and pool.ready == 1, seconds)
    stop.set()
    return await load


def test_to_twelve_workers_and_back_under_load_without_an_error() -> None:
    async def main() -> None:
        async with make_runner(batching=Batching(max_size=1)) as model:
            first = model.pids
            outcomes = await there_and_back(model, 12, 30)
            assert set(outcomes) == {b"ok:sleep:0.001"}
            assert model.pids == first
            assert model.deaths() == {}

    run(main())


@pytest.mark.slow
def test_to_ninety_workers_and_back_under_load_without_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import time\n\n\nclass Sleep:\n    def predict_all(self, inputs):\n        time.sleep(0.001)\n        return inputs\n"
    )

    async def main() -> None:
        fields = {"runtime": "python", "trust": "code", "path": str(tmp_path)}
        async with make_runner(command=COMMAND, batching=Batching(max_size=1), **fields) as model:
            submit = model.submit
            model.submit = lambda text, **more: submit('{"inputs": ["x"]}', **more)  # type: ignore[method-assign]
            outcomes = await there_and_back(model, 90, 300)
            assert set(outcomes) == {b'{"outputs":["x"]}'}
            assert model.deaths() == {}

    run(main())


def test_workers_that_are_taken_back_before_they_are_ready_are_no_deaths() -> None:
    async def main() -> None:
        async with make_runner() as model:
            model.runner.resize(6)
            await asyncio.sleep(0)
            model.runner.resize(2)
            await model.until(lambda: model.runner.pool.ready == 2)
            assert await model.ask(*"abc") == ["ok:a", "ok:b", "ok:c"]
            assert model.deaths() == {}

    run(main())


def test_it_can_be_asked_to_wait_for_all_workers() -> None:
    async def main() -> None:
        async with make_runner(start=False, limits=Limits(workers=3)) as model:
            await model.runner.start(all_ready=True)
            assert model.runner.pool.ready == 3

    run(main())


def test_waiting_for_all_ends_with_the_first_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.serving.pool.supervisor.FIRST_DELAY", 0.001)

    async def main() -> None:
        parameters = {"marker": str(tmp_path / "starts"), "good_starts": 1}
        async with make_runner(start=False, limits=Limits(workers=2), parameters=parameters) as model:
            with pytest.raises(NotReady, match="SIGSEGV"):
                await model.runner.start(all_ready=True)

    run(main())
