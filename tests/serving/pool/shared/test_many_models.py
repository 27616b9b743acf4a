"""Real workers that hold many real models: what callers of one of them see of all the others."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

from shoal.core.call import Format
from shoal.core.clock import monotonic
from shoal.core.errors import NotReady, PoisonInput, ShoalError
from shoal.serving.pool.processes.process import COMMAND
from shoal.testing.faults import oracle
from support.processes import resident_bytes
from support.running import Running, run
from support.sharing import Sharing, make_pool

pytestmark = pytest.mark.process

MIB = 1024 * 1024


def line(folder: Path, number: int) -> dict[str, Any]:
    """A scikit-learn model that answers x with `number` times x."""
    path = folder / f"line-{number}.joblib"
    if not path.exists():
        joblib.dump(LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, float(number)])), path)
    return {"path": str(path), "runtime": "sklearn", "trust": "code", "digest": f"line-{number}"}


async def times(model: Running, x: float) -> float:
    """What a line, or any model of numbers, answers."""
    width = 8 if model.runner.spec.name.startswith("forest") else 1
    tensor = {"name": "inputs", "shape": [1, width], "datatype": "FP64", "data": [x] * width}
    outcome = await model.submit(json.dumps({"inputs": [tensor]}), format=Format.V2_JSON)
    assert isinstance(outcome, bytes), outcome
    return float(json.loads(outcome)["outputs"][0]["data"][0])


async def faulty(sharing: Sharing, name: str, folder: Path, kind: str = "FaultModel", **fields: Any) -> Running:
    implementation = f"shoal.testing.faults:{kind}"
    return await sharing.model(name, path=str(folder), trust="code", implementation=implementation, **fields)


async def say(model: Running, text: str) -> str | ShoalError:
    outcome = await model.submit(json.dumps({"inputs": [text]}))
    return outcome if isinstance(outcome, ShoalError) else str(json.loads(outcome)["outputs"][0])


def test_many_models_through_a_small_budget_each_gives_its_own_answers(tmp_path: Path) -> None:
    async def main() -> None:
        chance = random.Random(3)
        async with make_pool(command=COMMAND, max_models=20, min_residence=0.0, preload=("sklearn",)) as sharing:
            models = [await sharing.model(f"m{number}", **line(tmp_path, number)) for number in range(200)]

            async def one() -> None:
                number = min(int(chance.paretovariate(0.6)) - 1, 199)
                x = chance.randint(1, 9)
                assert await times(models[number], x) == pytest.approx(number * x)

            for _ in range(30):
                await asyncio.gather(*(one() for _ in range(30)))
            assert len(sharing.resident()) <= 20
            counters = sharing.pool.counters
            assert counters.evictions["pressure"] >= counters.loads - 20 > 20
            assert counters.deaths == {}

    run(main())


def test_a_load_does_not_hold_up_the_other_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    forest = RandomForestClassifier(n_estimators=300, random_state=0)
    forest.fit(rng.random((400, 8)), rng.integers(0, 3, 400))
    joblib.dump(forest, tmp_path / "forest.joblib")
    big = {"path": str(tmp_path / "forest.joblib"), "runtime": "sklearn", "trust": "code"}

    async def longest(model: Running, until: asyncio.Event) -> float:
        worst = 0.0
        while not until.is_set():
            start = monotonic()
            await times(model, 1.0)
            worst = max(worst, monotonic() - start)
        return worst

    async def main() -> None:
        async with make_pool(command=COMMAND, preload=("sklearn",)) as sharing:
            small = await sharing.model("small", **line(tmp_path, 3))
            await times(small, 1.0)
            worst = []
            for turn in range(5):  # others use the machine, too: what they take is not the load's doing
                loaded = asyncio.Event()
                watching = asyncio.ensure_future(longest(small, loaded))
                await sharing.model(f"forest{turn}", all_ready=True, **big)
                loaded.set()
                worst.append(await watching)
            assert statistics.median(worst) < 0.05

    run(main())


def test_kills_while_three_models_are_served_cost_nobody_an_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool(command=COMMAND, workers=2, preload=("sklearn",)) as sharing:
            fields = {"version": "7", "parameters": {"nonce": "n"}}
            oracles = await faulty(sharing, "oracle", tmp_path, "OracleModel", **fields)
            lines = [await sharing.model(f"line{number}", **line(tmp_path, number)) for number in (2, 5)]
            for turn in range(4):
                asked = asyncio.gather(*(say(oracles, f"{turn}/{number}") for number in range(30)))
                sums = asyncio.gather(*(times(model, turn) for model in lines for _ in range(30)))
                await asyncio.sleep(0.005)
                if sharing.pids:
                    os.kill(random.Random(turn).choice(sharing.pids), signal.SIGKILL)
                assert await asked == [oracle(f"{turn}/{number}", "7", "n") for number in range(30)]
                assert await sums == pytest.approx([2.0 * turn] * 30 + [5.0 * turn] * 30)
            assert sharing.pool.counters.deaths["SIGKILL"] >= 2

    run(main())


def test_poison_of_one_model_costs_the_others_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool(command=COMMAND, preload=("sklearn",)) as sharing:
            bad, good = await faulty(sharing, "bad", tmp_path), await sharing.model("good", **line(tmp_path, 2))
            assert await say(bad, "x") == "ok:x"
            poison = asyncio.ensure_future(say(bad, "segv"))
            assert await asyncio.gather(*(times(good, 3.0) for _ in range(50))) == pytest.approx([6.0] * 50)
            assert isinstance(await poison, PoisonInput)
            assert await say(bad, "after") == "ok:after"
            assert sharing.pool.counters.deaths == {"SIGSEGV": 1}
            assert sharing.deaths("good") == {}

    run(main())


def test_a_model_that_crashes_while_it_loads_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool(command=COMMAND, preload=("sklearn",)) as sharing:
            good = await sharing.model("good", **line(tmp_path, 2))
            bad = await faulty(sharing, "bad", tmp_path, parameters={"load": "segv"})
            assert await times(good, 1.0) == pytest.approx(2.0)
            crash = asyncio.ensure_future(say(bad, "x"))
            while not crash.done():
                assert await times(good, 1.0) == pytest.approx(2.0)
            assert isinstance(crash.result(), NotReady)
            assert sharing.pool.counters.deaths == {"SIGSEGV": 1}

    run(main())


HEAVY = """
import numpy as np


class Heavy:
    def load(self):
        self.block = np.ones(30 * 1024 * 1024 // 8)

    def predict_all(self, inputs):
        return [str(self.block[0]) for _ in inputs]
"""


def test_memory_is_measured_given_back_and_counted(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(HEAVY)

    async def main() -> None:
        async with make_pool(command=COMMAND, memory_bytes=100 * MIB, min_residence=0.0) as sharing:
            (pid,) = sharing.pids
            base = resident_bytes(pid)
            models = [await sharing.model(f"m{number}", path=str(tmp_path), trust="code") for number in range(8)]
            for model in models:
                assert await say(model, "x") == "1.0"
                assert resident_bytes(pid) - base < 150 * MIB
            sizes = [each.bytes for each in sharing.pool.places[0].residents]
            assert len(sizes) == 3
            assert all(28 * MIB < size < 40 * MIB for size in sizes)
            await sharing.until(lambda: sharing.pool.counters.reclaimed_bytes > 5 * 28 * MIB)
            for model in models:
                await model.runner.stop()
            await sharing.until(lambda: resident_bytes(pid) - base < 20 * MIB)
            assert sharing.pids == [pid]

    run(main())


HELPED = """
import helper


class Helped:
    def predict_all(self, inputs):
        from later import WORD
        return [helper.WORD + WORD for _ in inputs]
"""


def test_models_with_modules_of_the_same_name_live_in_one_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool(command=COMMAND) as sharing:
            models = []
            for word in ("one", "two"):
                home = tmp_path / word
                home.mkdir()
                (home / "model.py").write_text(HELPED)
                (home / "helper.py").write_text(f"WORD = {word!r}\n")
                (home / "later.py").write_text(f"WORD = {' later ' + word!r}\n")
                models.append(await sharing.model(word, path=str(home), trust="code"))
            for _ in range(2):
                answers = await asyncio.gather(*(say(model, "x") for model in models))
                assert answers == ["one later one", "two later two"]

    run(main())


PARENT = """
import asyncio, sys
from support.sharing import make_pool
from shoal.serving.pool.processes.process import COMMAND

async def main():
    async with make_pool(command=COMMAND, workers=2) as sharing:
        await sharing.until(lambda: len(sharing.pids) == 2)
        fields = dict(path=sys.argv[1], trust="code", implementation="shoal.testing.faults:FaultModel")
        model = await sharing.model("m", **fields)
        hung = model.submit('{"inputs": ["hang"]}')
        await asyncio.sleep(0.3)
        print(*sharing.pids, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_no_worker_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    end = time.monotonic() + 5
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < end, "a worker is still there"
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
