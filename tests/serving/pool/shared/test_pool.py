"""A shared pool with scripted workers: loads, evictions, deaths, and who is told of what."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from pathlib import Path

import pytest

from shoal.core.errors import DeadlineExceeded, NotReady, PoisonInput
from shoal.core.model import Batching, Limits, ModelState
from support.running import run
from support.sharing import Sharing, make_pool, seat_of

pytestmark = pytest.mark.process

MIB = 1024 * 1024


def test_a_model_is_not_in_memory_before_its_first_call_and_many_calls_load_it_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            marker = tmp_path / "loads"
            model = await sharing.model("a", parameters={"marker": str(marker)})
            assert (model.runner.state, sharing.resident()) == (ModelState.READY, [])
            assert not marker.exists()
            texts = [str(number) for number in range(1000)]
            assert await model.ask(*texts) == [f"ok:{text}" for text in texts]
            assert len(marker.read_text().splitlines()) == 1
            assert (sharing.resident(), sharing.pool.counters.loads) == (["a"], 1)

    run(main())


def test_two_hundred_cold_models_at_once() -> None:
    async def main() -> None:
        async with make_pool(workers=2, max_models=10, min_residence=0.0) as sharing:
            models = [await sharing.model(f"m{number}") for number in range(200)]
            answers = await asyncio.gather(*(model.ask(str(number)) for number, model in enumerate(models)))
            assert answers == [[f"ok:{number}"] for number in range(200)]
            assert sharing.pool.counters.loads == 200
            assert len(sharing.resident()) <= 20

    run(main())


def test_many_that_want_the_one_place_at_once_all_get_there_and_answer() -> None:
    async def main() -> None:
        async with make_pool(max_models=1, min_residence=0.0) as sharing:
            models = [await sharing.model(f"m{number}", start=False) for number in range(40)]

            async def up_and_asked(number: int) -> list[str]:
                await models[number].runner.start(all_ready=True)
                return await models[number].ask(str(number))

            async with asyncio.timeout(30):
                answers = await asyncio.gather(*(up_and_asked(number) for number in range(40)))
            assert answers == [[f"ok:{number}"] for number in range(40)]

    run(main())


def test_a_pinned_model_is_loaded_at_start_and_stays() -> None:
    async def main() -> None:
        async with make_pool(max_models=2, min_residence=0.0) as sharing:
            pinned = await sharing.model("pinned", pinned=True)
            assert sharing.resident() == ["pinned"]
            others = [await sharing.model(name) for name in "abc"]
            for other in others:
                assert await other.ask("x") == ["ok:x"]
            assert sharing.resident() == ["c", "pinned"]
            assert await pinned.ask("x") == ["ok:x"]
            assert [name for name, _ in sharing.evicted] == ["a", "b"]
            os.kill(sharing.pids[0], signal.SIGKILL)
            await sharing.until(lambda: not sharing.pids)
            await sharing.until(lambda: sharing.resident() == ["pinned"])

    run(main())


def test_the_least_recently_used_goes_by_measured_bytes_and_its_owner_is_told_why() -> None:
    async def main() -> None:
        async with make_pool(memory_bytes=10 * MIB, min_residence=0.0) as sharing:
            sizes = {"a": 4, "b": 4, "c": 5}
            models = {name: await sharing.model(name, parameters={"bytes": n * MIB}) for name, n in sizes.items()}
            for name in "aba":
                await models[name].ask("x")
            await models["c"].ask("x")
            assert sharing.resident() == ["a", "c"]
            ((name, reason),) = sharing.evicted
            assert name == "b"
            assert "more is loaded than there is room for" in reason
            assert sharing.pool.counters.evictions == {"pressure": 1}
            assert await models["b"].ask("again") == ["ok:again"]

    run(main())


def test_a_model_that_takes_more_than_it_may_is_refused_and_nobody_else() -> None:
    async def main() -> None:
        async with make_pool(memory_bytes=10 * MIB, min_residence=0.0) as sharing:
            small = await sharing.model("small")
            giant = await sharing.model("giant", parameters={"bytes": 11 * MIB})
            greedy = await sharing.model("greedy", parameters={"bytes": 2 * MIB}, limits=Limits(memory_bytes=MIB))
            await small.ask("x")
            for model, said in ((giant, "has room for 10 MiB"), (greedy, "its limit is 1 MiB")):
                (outcome,) = await model.ask("x")
                assert isinstance(outcome, NotReady)
                assert said in outcome.message
                assert model.runner.state is ModelState.UNAVAILABLE
            assert sharing.resident() == ["small"]
            assert sharing.pool.counters.refused == 2
            assert await small.ask("x") == ["ok:x"]

    run(main())


def test_idle_models_are_let_go_of() -> None:
    async def main() -> None:
        async with make_pool(idle_seconds=0.1) as sharing:
            model = await sharing.model("a")
            assert await model.ask("x") == ["ok:x"]
            await sharing.until(lambda: sharing.resident() == [])
            assert sharing.evicted == [("a", "nobody used it for 0.1 seconds")]
            assert await model.ask("x") == ["ok:x"]

    run(main())


def test_a_model_in_use_is_never_let_go_of_and_a_load_waits_for_it() -> None:
    async def main() -> None:
        async with make_pool(max_models=1, min_residence=0.0) as sharing:
            busy, other = await sharing.model("busy"), await sharing.model("other")
            slow = busy.submit("sleep:0.3")
            await sharing.until(lambda: sharing.resident() == ["busy"])
            assert await other.ask("x") == ["ok:x"]
            assert slow.done()
            assert await slow == b"ok:sleep:0.3"
            assert sharing.resident() == ["other"]

    run(main())


def test_a_load_that_nobody_waits_for_any_more_is_left_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            slow = await sharing.model("slow", parameters={"load": "sleep:0.3"})
            marker = tmp_path / "loads"
            late = await sharing.model("late", parameters={"marker": str(marker)})
            first = slow.submit("x")
            (outcome,) = await late.ask("y", timeout=0.05)
            assert isinstance(outcome, DeadlineExceeded)
            assert await first == b"ok:x"
            await sharing.until(lambda: bool(sharing.evicted))
            assert not marker.exists()
            assert sharing.evicted == [("late", "whoever had asked for it was gone before its turn")]
            assert await late.ask("z") == ["ok:z"]

    run(main())


def test_no_model_starves_behind_a_busy_one() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            busy = await sharing.model("busy", batching=Batching(max_size=1))
            others = [await sharing.model(name) for name in "abc"]
            for model in (busy, *others):
                await model.ask("warm")
            flood = [busy.submit("sleep:0.02") for _ in range(50)]
            await asyncio.sleep(0.05)
            assert [await other.ask("x") for other in others] == [["ok:x"]] * 3
            assert sum(each.done() for each in flood) < 25
            assert set(await asyncio.gather(*flood)) == {b"ok:sleep:0.02"}

    run(main())


def test_a_killed_worker_costs_none_of_its_models_an_answer() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            models = [await sharing.model(name) for name in "abc"]
            for turn in range(4):
                calls = [model.submit(f"sleep:0.0{turn}{at}") for at, model in enumerate(models) for _ in range(20)]
                await asyncio.sleep(0.01)
                if sharing.pids:
                    os.kill(sharing.pids[0], signal.SIGKILL)
                outcomes = await asyncio.gather(*calls)
                assert all(isinstance(outcome, bytes) for outcome in outcomes)
            assert sharing.pool.counters.deaths["SIGKILL"] == 4

    run(main())


def test_poison_of_one_model_is_quarantined_and_no_other_model_notices() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            bad, good = await sharing.model("bad"), await sharing.model("good")
            await asyncio.gather(bad.ask("warm"), good.ask("warm"))
            poison, others = bad.submit("segv"), [good.submit(f"{number}") for number in range(50)]
            assert isinstance(await poison, PoisonInput)
            assert await asyncio.gather(*others) == [f"ok:{number}".encode() for number in range(50)]
            assert await good.ask("after") == ["ok:after"]
            assert await bad.ask("after") == ["ok:after"]
            assert sharing.deaths("good") == {}
            assert sharing.deaths("bad") == {"SIGSEGV": 2}

    run(main())


def test_a_load_that_kills_costs_one_shared_worker_and_that_model_alone_fails() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            good, bad = await sharing.model("good"), await sharing.model("bad", parameters={"load": "segv"})
            await good.ask("warm")
            victim = bad.submit("x")
            waiting = [good.submit(f"{number}") for number in range(20)]
            outcome = await victim
            assert isinstance(outcome, NotReady)
            assert "died while loading the model (SIGSEGV)" in outcome.message
            assert await asyncio.gather(*waiting) == [f"ok:{number}".encode() for number in range(20)]
            assert sharing.pool.counters.deaths == {"SIGSEGV": 1}
            assert bad.runner.state is ModelState.UNAVAILABLE
            again = await sharing.model("bad", start=False, parameters={"load": "segv"})
            with pytest.raises(NotReady, match="SIGSEGV"):
                await again.runner.start()
            assert sharing.pool.counters.deaths == {"SIGSEGV": 1}
            assert "its last load failed" in " ".join(sharing.pool.explain(seat_of(bad).spec))

    run(main())


def test_a_load_that_hangs_is_ended_with_its_worker_and_the_others_go_on() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            good = await sharing.model("good")
            await good.ask("warm")
            bad = await sharing.model("bad", parameters={"load": "hang"}, limits=Limits(load_seconds=0.3))
            hung = bad.submit("x")
            await asyncio.sleep(0.05)
            waiting = good.submit("y")
            outcome = await hung
            assert isinstance(outcome, NotReady)
            assert "longer than 0.3 seconds" in outcome.message
            assert await waiting == b"ok:y"
            assert sharing.pool.counters.deaths == {"load_hang": 1}

    run(main())


def test_a_model_that_cannot_be_loaded_says_why_and_may_heal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shoal.serving.pool.shared.remembered.FIRST_BACKOFF", 0.05)

    async def main() -> None:
        async with make_pool() as sharing:
            model = await sharing.model("a", parameters={"load_error": "no such file"})
            (outcome,) = await model.ask("x")
            assert isinstance(outcome, NotReady)
            assert "no such file" in outcome.message
            await sharing.until(lambda: model.runner.state is ModelState.READY)
            (outcome,) = await model.ask("x")
            assert isinstance(outcome, NotReady)
            assert sharing.pool.counters.load_failures == 2

    run(main())


def test_a_hung_model_is_ended_by_its_own_limit() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            quick = await sharing.model("quick", limits=Limits(execution_seconds=0.2))
            slow = await sharing.model("slow", limits=Limits(execution_seconds=10))
            await asyncio.gather(quick.ask("warm"), slow.ask("warm"))
            assert await slow.ask("sleep:0.6") == ["ok:sleep:0.6"]
            (outcome,) = await quick.ask("hang")
            assert isinstance(outcome, PoisonInput)
            assert sharing.deaths("slow") == {}

    run(main())


def test_replicas_are_in_several_workers_and_all_take_traffic() -> None:
    async def main() -> None:
        async with make_pool(workers=3) as sharing:
            await sharing.until(lambda: len(sharing.pids) == 3)
            model = await sharing.model("a", all_ready=True, limits=Limits(workers=2), batching=Batching(max_size=1))
            seat = seat_of(model)
            assert (seat.ready, len({lease.place.name for lease in seat.leases})) == (2, 2)
            calls = [model.submit("sleep:0.01") for _ in range(20)]
            await asyncio.sleep(0.02)
            assert all(lease.place.member is not None and lease.place.member.jobs for lease in seat.leases)
            model.runner.resize(3)
            await sharing.until(lambda: seat.ready == 3)
            model.runner.resize(1)
            assert seat.ready == 1
            assert set(await asyncio.gather(*calls)) == {b"ok:sleep:0.01"}

    run(main())


def test_models_are_spread_and_those_of_one_tenant_keep_to_their_shard() -> None:
    async def main() -> None:
        async with make_pool(workers=4, shard=2) as sharing:
            await sharing.until(lambda: len(sharing.pids) == 4)
            mine = [await sharing.model(f"m{number}", tenant="mine") for number in range(12)]
            nobodys = [await sharing.model(f"n{number}") for number in range(24)]
            await asyncio.gather(*(model.ask("x") for model in (*mine, *nobodys)))
            places = {lease.place.name for model in mine for lease in seat_of(model).leases}
            assert len(places) == 2
            assert max(len(place.leases) for place in sharing.pool.places) <= 1.25 * 36 / 4 + 3

    run(main())


def test_a_worker_that_does_not_give_memory_back_is_replaced_and_nobody_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.serving.pool.shared.place.SLACK", 16 * MIB)

    async def main() -> None:
        async with make_pool(memory_bytes=16 * MIB) as sharing:
            models = [await sharing.model(name) for name in "abc"]
            for model in models:
                await model.ask("warm")
            (first,) = sharing.pids
            assert await models[0].ask("leak:200") == ["ok:leak:200"]

            async def caller(name: str, at: int) -> None:
                while sharing.pids == [first]:
                    assert await models[at].ask(name) == [f"ok:{name}"]

            await asyncio.gather(*(caller(name, at) for at, name in enumerate("abc")))
            assert sharing.resident() == ["a", "b", "c"]
            assert sharing.pool.counters.loads == 3
            assert (sharing.pool.counters.replaced, sharing.pool.counters.deaths) == (1, {})
            for model in models:
                assert await model.ask("after") == ["ok:after"]

    run(main())


def test_workers_that_cannot_be_started_are_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.serving.pool.supervisor.FIRST_DELAY", 0.001)

    async def main() -> None:
        with pytest.raises(NotReady, match="cannot be started"):
            async with make_pool(command=("false",)):
                raise AssertionError("it has started")

    run(main())


def test_stopping_gives_everybody_an_answer() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            resident = await sharing.model("a")
            await resident.ask("warm")
            cold = await sharing.model("b", parameters={"load": "sleep:5"})
            calls = [resident.submit("sleep:5"), cold.submit("x"), cold.submit("y")]
            await asyncio.sleep(0.05)
            await asyncio.gather(resident.runner.stop(), cold.runner.stop())
            assert all(isinstance(outcome, NotReady) for outcome in await asyncio.gather(*calls))

    run(main())


def test_a_model_that_was_stopped_is_gone_without_a_look_for_garbage() -> None:
    async def main() -> None:
        async with make_pool() as sharing:
            gc.disable()
            model = await sharing.model("a", batching=Batching(queue_seconds=5.0))
            await model.ask("1", "2", "3")
            seat = seat_of(model)
            left = [weakref.ref(each) for each in (model.runner, model.runner.dispatch, seat, seat.spare)]
            await sharing.models.pop().runner.stop()
            del model, seat
            await sharing.until(lambda: [each() for each in left] == [None] * 4)

    try:
        run(main())
    finally:
        gc.enable()


async def _explained(sharing: Sharing, name: str, **fields: object) -> str:
    model = await sharing.model(name, **fields)
    await model.ask("x")
    return " ".join(sharing.pool.explain(seat_of(model).spec))


def test_it_explains_where_a_model_is() -> None:
    async def main() -> None:
        async with make_pool(max_models=1, min_residence=0.0) as sharing:
            cold = await sharing.model("cold")
            assert "cold is not in memory" in sharing.pool.explain(seat_of(cold).spec)[0]
            said = await _explained(sharing, "a", parameters={"bytes": 2 * MIB}, version="3", tenant="team")
            assert "a/3@team is in worker 0 of shared pool 'shared': 2 MiB, last used 0.0 s ago" in said
            await cold.ask("x")
            (evicted,) = [reason for name, reason in sharing.evicted if name == "a"]
            assert "let go to make room for cold" in evicted

    run(main())
