"""The pool with real processes: workers that die, hang, loop, leak and chatter, and what callers see of it."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from pathlib import Path

import pytest

from shoal.core.clock import monotonic
from shoal.core.errors import DeadlineExceeded, ModelError, NotReady, PoisonInput, ShoalError, Unavailable
from shoal.core.model import Batching, Limits, ModelState
from shoal.serving.pool import supervisor
from support.running import make_runner, run

pytestmark = pytest.mark.process

SIXTEEN = Batching(max_size=16)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off for milliseconds, where the number of tries is what counts."""
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)


def test_each_call_gets_its_own_answer() -> None:
    async def main() -> None:
        async with make_runner(limits=Limits(workers=2)) as model:
            texts = [f"text {number}" for number in range(500)]
            assert await model.ask(*texts) == [f"ok:{text}" for text in texts]
            assert model.runner.state is ModelState.READY
            assert model.runner.statistics()["inference_count"] == 500

    run(main())


def test_an_error_of_one_item_is_its_callers_alone() -> None:
    async def main() -> None:
        async with make_runner() as model:
            good, bad, other = await model.ask("a", "raise:no", "b")
            assert (good, other) == ("ok:a", "ok:b")
            assert isinstance(bad, ModelError)
            assert model.deaths() == {}

    run(main())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("segv", "SIGSEGV"), ("abort", "SIGABRT"), ("exit:0", "exit_0"), ("exit:3", "exit_3"), ("kill", "SIGKILL")],
)
def test_who_kills_a_worker_is_found_and_the_neighbours_are_answered(fault: str, reason: str) -> None:
    async def main() -> None:
        async with make_runner(batching=SIXTEEN) as model:
            texts = [f"n{number}" for number in range(15)]
            outcomes = await model.ask(*texts[:7], fault, *texts[7:])
            poison = outcomes.pop(7)
            assert isinstance(poison, PoisonInput)
            assert outcomes == [f"ok:{text}" for text in texts]
            deaths = model.deaths()
            assert set(deaths) == {reason}
            assert deaths[reason] <= (6 if fault == "kill" else 5)
            again = await asyncio.gather(*(model.submit(fault) for _ in range(100)))
            assert all(isinstance(outcome, PoisonInput) for outcome in again)
            assert await model.ask("after") == ["ok:after"]
            assert model.deaths() == deaths

    run(main())


def test_of_thirty_two_one_poison_costs_six_deaths_at_most() -> None:
    async def main() -> None:
        async with make_runner(batching=Batching(max_size=32)) as model:
            outcomes = await model.ask(*(f"n{number}" for number in range(31)), "segv")
            assert isinstance(outcomes[-1], PoisonInput)
            assert not any(isinstance(outcome, ShoalError) for outcome in outcomes[:-1])
            assert sum(model.deaths().values()) <= 6

    run(main())


def test_a_model_that_is_not_pure_is_never_run_twice() -> None:
    async def main() -> None:
        async with make_runner(batching=SIXTEEN, pure=False) as model:
            outcomes = await model.ask("a", "segv", "b")
            assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
            assert await model.ask("c") == ["ok:c"]
            assert model.deaths() == {"SIGSEGV": 1}

    run(main())


def test_kills_from_outside_cost_no_call_an_error() -> None:
    async def main() -> None:
        chance = random.Random(11)
        async with make_runner(limits=Limits(workers=2), batching=SIXTEEN) as model:
            calls: list[asyncio.Future[bytes | ShoalError]] = []
            end = monotonic() + 1.5
            while monotonic() < end:
                for _ in range(20):
                    calls.append(model.submit(f"n{len(calls)}"))
                if model.pids and chance.random() < 0.2:
                    os.kill(chance.choice(model.pids), signal.SIGKILL)
                await asyncio.sleep(0.005)
            outcomes = await asyncio.gather(*calls)
            assert outcomes == [f"ok:n{number}".encode() for number in range(len(calls))]
            assert sum(model.deaths().values()) > 3

    run(main())


def test_a_killed_worker_is_back_within_a_second() -> None:
    async def main() -> None:
        async with make_runner() as model:
            (pid,) = model.pids
            os.kill(pid, signal.SIGKILL)
            await model.until(lambda: not model.runner.pool.ready)
            assert await model.until(lambda: model.runner.pool.ready == 1) < 1.0
            assert model.pids != [pid]
            assert model.runner.state is ModelState.READY

    run(main())


@pytest.mark.parametrize("how", ["hang", "stop"])
def test_a_hung_worker_is_killed_within_a_second_of_the_limit(how: str) -> None:
    async def main() -> None:
        async with make_runner(limits=Limits(execution_seconds=0.3)) as model:
            (pid,) = model.pids
            if how == "stop":
                os.kill(pid, signal.SIGSTOP)
            start = monotonic()
            outcome = model.submit("hang" if how == "hang" else "harmless")
            await model.until(lambda: model.deaths().get("hang"))
            assert monotonic() - start < 1.3
            assert isinstance(await outcome, PoisonInput) if how == "hang" else await outcome == b"ok:harmless"
            assert await model.ask("after") == ["ok:after"]

    run(main())


def test_a_caller_is_answered_at_its_deadline_however_the_worker_hangs() -> None:
    async def main() -> None:
        async with make_runner(limits=Limits(execution_seconds=5)) as model:
            start = monotonic()
            (outcome,) = await model.ask("hang", timeout=0.2)
            assert isinstance(outcome, DeadlineExceeded)
            assert 0.2 <= monotonic() - start < 0.25

    run(main())


def test_a_worker_that_babbles_is_replaced() -> None:
    async def main() -> None:
        async with make_runner(pure=False) as model:
            (outcome,) = await model.ask("babble")
            assert isinstance(outcome, Unavailable)
            assert await model.ask("after") == ["ok:after"]
            assert model.deaths() == {"protocol": 1}

    run(main())


def test_a_model_that_cannot_be_loaded_says_why_at_once() -> None:
    async def main() -> None:
        async with make_runner(start=False, parameters={"load_error": "no such file"}) as model:
            with pytest.raises(NotReady, match="no such file"):
                await model.runner.start()
            assert model.runner.state is ModelState.UNAVAILABLE
            (outcome,) = await model.ask("a")
            assert isinstance(outcome, NotReady)

    run(main())


def test_a_crash_loop_while_loading_ends_with_the_reason(quick: None) -> None:
    async def main() -> None:
        async with make_runner(start=False, parameters={"load": "segv"}) as model:
            with pytest.raises(NotReady, match="SIGSEGV"):
                await model.runner.start()
            assert model.deaths() == {"SIGSEGV": 5}

    run(main())


def test_a_worker_that_cannot_come_back_makes_the_model_unavailable(tmp_path: Path, quick: None) -> None:
    async def main() -> None:
        parameters = {"marker": str(tmp_path / "starts"), "good_starts": 1}
        async with make_runner(parameters=parameters) as model:
            os.kill(model.pids[0], signal.SIGKILL)
            await model.until(lambda: not model.runner.pool.ready)
            waiting = model.submit("a")
            outcome = await waiting
            assert isinstance(outcome, NotReady)
            assert model.runner.state is ModelState.UNAVAILABLE
            assert "SIGSEGV" in model.runner.reason

    run(main())


def test_a_model_whose_workers_can_start_again_is_ready_again(tmp_path: Path, quick: None) -> None:
    async def main() -> None:
        marker = tmp_path / "starts"
        async with make_runner(parameters={"marker": str(marker), "good_starts": 1}) as model:
            os.kill(model.pids[0], signal.SIGKILL)
            await model.until(lambda: model.runner.state is ModelState.UNAVAILABLE)
            marker.write_text("")
            await model.until(lambda: model.runner.state is ModelState.READY)
            assert await model.ask("a") == ["ok:a"]

    run(main())


def test_stopping_several_workers_never_looks_ready_again() -> None:
    async def main() -> None:
        async with make_runner(limits=Limits(workers=2)) as model:
            await model.until(lambda: model.runner.pool.ready == 2)
            seen = set()
            model.runner.pool.on_death = lambda reason: None
            change = model.runner.pool.on_change
            model.runner.pool.on_change = lambda: (change(), seen.add(model.runner.state))
            await model.runner.stop()
            assert seen == {ModelState.UNAVAILABLE}

    run(main())


def test_loading_has_a_limit() -> None:
    async def main() -> None:
        async with make_runner(start=False, parameters={"load": "hang"}, limits=Limits(load_seconds=0.4)) as model:
            with pytest.raises(NotReady, match=r"longer than 0\.4 seconds"):
                await model.runner.start()

    run(main())


def test_a_worn_worker_is_replaced_without_a_failed_request() -> None:
    async def main() -> None:
        async with make_runner(limits=Limits(max_requests=50), batching=SIXTEEN) as model:
            seen = set(model.pids)
            for _ in range(60):
                assert await model.ask(*"abcde") == [f"ok:{letter}" for letter in "abcde"]
                seen.update(model.pids)
                await asyncio.sleep(0.01)
            assert len(seen) > 1
            assert model.deaths() == {}

    run(main())


def test_a_leak_is_answered_with_a_fresh_worker() -> None:
    async def main() -> None:
        limits = Limits(memory_bytes=160 * 1024 * 1024)
        async with make_runner(limits=limits) as model:
            (first,) = model.pids
            for _ in range(24):
                assert await model.ask("leak:5") == ["ok:leak:5"]
                await asyncio.sleep(0.02)
            await model.until(lambda: first not in model.pids)
            assert model.deaths() == {}

    run(main())


def test_who_takes_too_much_memory_is_refused_and_nobody_else() -> None:
    async def main() -> None:
        limits = Limits(memory_bytes=128 * 1024 * 1024)
        async with make_runner(limits=limits, batching=SIXTEEN) as model:
            good, greedy = await model.ask("a", "allocate:400")
            assert good == "ok:a"
            assert isinstance(greedy, (PoisonInput, ModelError))
            assert set(model.deaths()) <= {"oom", "exit_1"}

    run(main())


def test_what_a_worker_prints_is_logged_with_its_model(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with make_runner() as model:
            await model.ask("print:hello there")
            await model.until(lambda: any(record.getMessage() == "m: hello there" for record in caplog.records))

    caplog.set_level(logging.INFO, logger="shoal.worker.output")
    run(main())


def test_a_child_that_a_model_forked_dies_with_its_worker_and_holds_nothing_up() -> None:
    async def main() -> None:
        async with make_runner() as model:
            (pid,) = model.pids
            await model.ask("fork")
            (child,) = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            os.kill(pid, signal.SIGKILL)
            assert await model.ask("after") == ["ok:after"]
            await model.until(lambda: not Path(f"/proc/{child}").exists() or "Z" in _state(child))

    run(main())


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_draining_finishes_what_was_accepted() -> None:
    async def main() -> None:
        async with make_runner(batching=Batching(max_size=1)) as model:
            calls = [model.submit("sleep:0.05") for _ in range(5)]
            await model.runner.drain()
            assert [await call for call in calls] == [b"ok:sleep:0.05"] * 5
            (outcome,) = await model.ask("late")
            assert isinstance(outcome, NotReady)
            assert model.deaths() == {}

    run(main())


def test_stopping_answers_everybody() -> None:
    async def main() -> None:
        async with make_runner(batching=Batching(max_size=1)) as model:
            calls = [model.submit("sleep:5") for _ in range(5)]
            await asyncio.sleep(0.05)
            await model.runner.stop()
            assert all(isinstance(outcome, NotReady) for outcome in await asyncio.gather(*calls))

    run(main())


def test_thread_limits_are_set_before_the_worker_starts() -> None:
    async def main() -> None:
        limits = Limits(threads=3)
        async with make_runner(limits=limits, environment={"OMP_NUM_THREADS": "7"}) as model:
            said = Path(f"/proc/{model.pids[0]}/environ").read_bytes().split(b"\0")
            assert b"MKL_NUM_THREADS=3" in said
            assert b"OMP_NUM_THREADS=7" in said

    run(main())


def test_a_worker_holds_no_descriptor_of_the_node() -> None:
    async def main() -> None:
        async with make_runner() as model:
            folder = Path(f"/proc/{model.pids[0]}/fd")
            assert len(list(folder.iterdir())) <= 4

    run(main())
