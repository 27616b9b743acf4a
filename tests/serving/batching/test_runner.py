"""Batcher, pool and the real worker together, with the fault model and the oracle model."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shoal.core.errors import InvalidInput, ModelContract, ModelError, PoisonInput, ShoalError
from shoal.core.model import Batching, Limits
from shoal.serving.pool.processes.process import COMMAND
from shoal.testing.faults import oracle
from support.running import Running, make_runner, run

pytestmark = pytest.mark.process


def user_model(name: str, folder: Path, **fields: Any) -> Any:
    """A runner of a model of `shoal.testing.faults`."""
    implementation = f"shoal.testing.faults:{name}"
    return make_runner(
        command=COMMAND, runtime="python", trust="code", implementation=implementation, path=str(folder), **fields
    )


def request(text: str) -> str:
    return json.dumps({"inputs": [text]})


def answer(text: str) -> str:
    return json.dumps({"outputs": [text]}, separators=(",", ":"))


async def ask(model: Running, *texts: str) -> list[str | ShoalError]:
    return await model.ask(*map(request, texts))


def test_one_item_that_fails_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with user_model("FaultModel", tmp_path, batching=Batching(max_size=16)) as model:
            outcomes = await ask(model, *"abc", "raise:no", "item:bad", *"def")
            assert [outcome for outcome in outcomes if isinstance(outcome, str)] == [
                answer(f"ok:{c}") for c in "abcdef"
            ]
            assert isinstance(outcomes[3], ModelError)
            assert isinstance(outcomes[4], InvalidInput)
            assert model.deaths() == {}

    run(main())


def test_one_item_that_kills_is_refused_and_its_neighbours_are_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with user_model("FaultModel", tmp_path, batching=Batching(max_size=8)) as model:
            outcomes = await ask(model, *"abcdefg", "segv")
            assert isinstance(outcomes.pop(), PoisonInput)
            assert outcomes == [answer(f"ok:{c}") for c in "abcdefg"]
            assert model.deaths()["SIGSEGV"] <= 4
            assert isinstance((await ask(model, "segv"))[0], PoisonInput)
            assert model.deaths()["SIGSEGV"] <= 4

    run(main())


def test_a_wrong_count_is_nobodys_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with user_model("FaultModel", tmp_path, batching=Batching(max_size=8)) as model:
            outcomes = await ask(model, "a", "count:-1", "b")
            assert all(isinstance(outcome, (ModelContract, str)) for outcome in outcomes)
            assert isinstance(outcomes[1], ModelContract)
            assert all(outcome in (answer("ok:a"), answer("ok:b")) for outcome in outcomes if isinstance(outcome, str))

    run(main())


def test_under_kills_every_answer_is_the_oracles(tmp_path: Path) -> None:
    async def main() -> None:
        chance = random.Random(5)
        fields = {"version": "3", "parameters": {"nonce": "n"}, "limits": Limits(workers=2)}
        async with user_model("OracleModel", tmp_path, **fields) as model:
            for turn in range(30):
                texts = [f"{turn}/{number}" for number in range(40)]
                if turn % 8 == 7 and model.pids:
                    os.kill(chance.choice(model.pids), signal.SIGKILL)
                assert await ask(model, *texts) == [answer(oracle(text, "3", "n")) for text in texts]
            assert model.deaths().get("SIGKILL", 0) >= 2

    run(main())


NODE = """
import asyncio, sys
from support.running import make_runner
from shoal.serving.pool.processes.process import COMMAND

async def main():
    fields = dict(runtime="python", trust="code", implementation="shoal.testing.faults:FaultModel", path=sys.argv[1])
    async with make_runner(command=COMMAND, **fields) as model:
        model.submit('{"inputs": ["hang"]}')
        await asyncio.sleep(0.2)
        print(model.pids[0], flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_node_leaves_no_worker_behind_not_even_a_hung_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", NODE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as node:
        assert node.stdout is not None
        worker = Path(f"/proc/{int(node.stdout.readline())}")
        node.kill()
    end = time.monotonic() + 5
    while not _gone(worker):
        assert time.monotonic() < end, "the worker is still there"
        time.sleep(0.01)


def _gone(process: Path) -> bool:
    try:
        return "Z" in (process / "stat").read_text().rpartition(")")[2]
    except OSError:
        return True
