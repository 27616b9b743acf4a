"""Batches of a model at hosts elsewhere: each call has one outcome, whatever becomes of the hosts."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from shoal.core.errors import (
    Conflict,
    DeadlineExceeded,
    ModelError,
    NotFound,
    NotReady,
    PoisonInput,
    ShoalError,
    Unavailable,
)
from shoal.core.model import Batching, Limits, ModelSpec, ModelState
from shoal.serving.peering import pulse
from shoal.serving.peering.connection import Connection
from shoal.serving.pool.jobs import Loss
from shoal.serving.pool.pool import Pool
from shoal.serving.remote import patience
from shoal.serving.remote import workers as remote_workers
from shoal.serving.remote.host.shelf import Found
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted
from support.remote_world import Workers, remote_world, until
from support.running import FAKE_WORKER, run


def test_batches_are_run_at_hosts_and_answers_go_to_their_callers() -> None:
    async def test() -> None:
        async with remote_world(hosts=2) as w:
            await until(lambda: w.proxy.workers.ready == 2)
            texts = [f"t{each}" for each in range(200)]
            assert await w.proxy.ask(*texts) == texts
            assert all(host.workers[0].served for host in w.hosts)
            assert w.proxy.runner.loaded is not None
            facts = w.proxy.runner.explain()
            assert facts["workers_ready"] == 2
            assert set(facts["hosts"]) == {"h0", "h1"}  # type: ignore[call-overload]

    asyncio.run(test())


def test_an_error_of_one_item_is_its_callers_alone() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            asked = [w.proxy.submit(text) for text in ("a", "b", "c")]
            (workers,) = w.hosts[0].workers
            await until(lambda: workers.jobs)
            workers.finish(errors={1: ModelError("not this one")})
            one, two, three = await asyncio.gather(*asked)
            assert (one, three) == (b"a", b"c")
            assert isinstance(two, ModelError)
            assert two.message == "not this one"

    asyncio.run(test())


def test_a_host_that_is_added_gets_batches_and_one_that_drains_gets_no_more() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            first = w.hosts[0].workers[0]
            early = [w.proxy.submit(f"early{each}") for each in range(8)]
            await until(lambda: len(first.jobs) == 2)
            second = await w.add("h9")
            assert await until(lambda: w.proxy.workers.ready == 2) < 2.0
            assert await w.proxy.ask("x") == ["x"]
            assert second.workers[0].served == [b"x"]
            assert w.hosts[0].server is not None
            draining = asyncio.ensure_future(w.hosts[0].server.drain(20))
            await until(lambda: w.proxy.workers.ready == 1)
            assert await w.proxy.ask(*"abcdefgh") == [*"abcdefgh"]
            assert len(first.served) == 8
            assert not draining.done()
            first.release()
            assert await draining
            assert [await each for each in early] == [b"early%d" % each for each in range(8)]

    asyncio.run(test())


def test_what_a_lost_host_had_is_run_elsewhere() -> None:
    async def test() -> None:
        async with remote_world(hosts=2, held=True) as w:
            await until(lambda: w.proxy.workers.ready == 2)
            asked = [w.proxy.submit(f"t{each}") for each in range(12)]
            await until(lambda: all(host.workers[0].jobs for host in w.hosts))
            w.hosts[0].break_links()
            await until(lambda: w.proxy.workers.ready == 1)
            w.hosts[1].workers[0].release()
            assert [await each for each in asked] == [b"t%d" % each for each in range(12)]
            assert not w.proxy.runner.dispatch._poison.until

    asyncio.run(test())


def test_what_may_not_run_twice_is_not_run_again_when_its_host_is_lost() -> None:
    async def test() -> None:
        async with remote_world(hosts=2, held=True, pure=False) as w:
            await until(lambda: w.proxy.workers.ready == 2)
            asked = w.proxy.submit("once")
            await until(lambda: any(host.workers[0].jobs for host in w.hosts))
            at = next(host for host in w.hosts if host.workers[0].jobs)
            at.break_links()
            assert isinstance(await asked, Unavailable)
            assert sum(host.workers[0].served.count(b"once") for host in w.hosts) == 1

    asyncio.run(test())


def test_a_suspect_is_tried_aside_and_the_neighbours_are_answered() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            asked = [w.proxy.submit(text) for text in ("a", "bad", "c")]
            (workers,) = w.hosts[0].workers
            aside = workers.spare
            aside.held = True
            await until(lambda: workers.jobs)
            workers.die()
            for _ in range(8):
                await until(lambda: aside.jobs or all(each.done() for each in asked))
                if not aside.jobs:
                    break
                if any(call.body == b"bad" for call in aside.jobs[0].calls):
                    aside.die()
                else:
                    aside.finish()
            assert await asked[0] == b"a"
            assert await asked[2] == b"c"
            assert getattr(await asked[1], "code", "") == "poison_input"

    asyncio.run(test())


def test_what_a_worker_had_not_begun_goes_back_to_the_queue() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            asked = [w.proxy.submit(text) for text in ("a", "b")]
            (workers,) = w.hosts[0].workers
            await until(lambda: workers.jobs)
            job = workers.jobs.pop()
            workers.held = False
            job.owner.lost(job, Loss("SIGSEGV", suspect=False))
            workers.on_room()
            assert [await each for each in asked] == [b"a", b"b"]

    asyncio.run(test())


def test_a_call_is_over_at_its_deadline_and_a_worker_is_told_how_long_it_has() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            asked = w.proxy.submit("late", timeout=0.3)
            (workers,) = w.hosts[0].workers
            await until(lambda: workers.jobs)
            (call,) = workers.jobs[0].calls
            assert 0.0 < call.deadline - call.arrived <= 0.3
            assert isinstance(await asked, DeadlineExceeded)
            workers.release()
            assert await w.proxy.ask("next") == ["next"]

    asyncio.run(test())


def test_a_host_with_other_files_is_refused_until_it_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_workers, "ASK_AGAIN", 0.05)

    async def test() -> None:
        async with remote_world(start=False) as w:
            source = w.hosts[0].source
            right, source.specs = source.specs, []
            starting = asyncio.ensure_future(w.proxy.start())
            await until(lambda: source.asked > 1)
            assert not starting.done()
            source.specs = right
            await starting
            assert await w.proxy.ask("a") == ["a"]

    asyncio.run(test())


@pytest.mark.parametrize("digest", ["other", None])
def test_a_model_that_no_host_has_is_not_started(digest: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.1)

    async def test() -> None:
        async with remote_world(start=False) as w:
            source = w.hosts[0].source
            spec = source.specs.pop()
            if digest:
                source.specs.append(type(spec)(name="m", path="", runtime="python", digest=digest))
            with pytest.raises((Conflict, NotFound)):
                await w.proxy.start()
            assert w.proxy.runner.state is ModelState.UNAVAILABLE

    asyncio.run(test())


def test_a_model_that_cannot_be_loaded_says_why_at_once() -> None:
    async def test() -> None:
        async with remote_world(start=False) as w:
            w.hosts[0].next = Workers(error=NotReady("no such weights"))
            with pytest.raises(NotReady, match="no such weights"):
                await w.proxy.start()

    asyncio.run(test())


def test_without_any_host_callers_are_told_and_served_again_when_one_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONELY_SECONDS", 0.3)

    async def test() -> None:
        async with remote_world() as w:
            w.hosts[0].break_links()
            await until(lambda: not w.proxy.workers.ready)
            waits = w.proxy.submit("waits")
            assert isinstance(await waits, NotReady)
            assert w.proxy.runner.state is ModelState.UNAVAILABLE
            await w.add("h9")
            await until(lambda: w.proxy.runner.state is ModelState.READY)
            assert await w.proxy.ask("a") == ["a"]

    asyncio.run(test())


def test_a_call_that_waits_while_the_only_host_starts_again_is_answered() -> None:
    async def test() -> None:
        async with remote_world() as w:
            w.hosts[0].break_links()
            await until(lambda: not w.proxy.workers.ready)
            waits = w.proxy.submit("waits")
            await w.hosts[0].stop()
            await w.hosts[0].start()
            assert await waits == b"waits"

    asyncio.run(test())


@pytest.mark.parametrize("pure", [True, False])
def test_hosts_that_drain_one_after_the_other_cost_nobody_an_answer(pure: bool) -> None:
    async def test() -> None:
        async with remote_world(hosts=2, pure=pure) as w:
            await until(lambda: w.proxy.workers.ready == 2)
            asked: list[asyncio.Future[object]] = []

            async def ask() -> None:
                while True:
                    asked.extend(w.proxy.submit(f"t{len(asked)}") for _ in range(5))  # type: ignore[misc]
                    await asyncio.sleep(0.001)

            asking = asyncio.create_task(ask())
            for number in range(6):
                await w.add(f"more{number}")
                await until(lambda: w.proxy.workers.ready == 3)
                server = w.hosts[number].server
                assert server is not None
                assert await server.drain(20)
                await w.hosts[number].stop()
                await until(lambda: w.proxy.workers.ready == 2)
            asking.cancel()
            assert [await each for each in asked] == [b"t%d" % each for each in range(len(asked))]

    asyncio.run(test())


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_becomes_of_hosts_each_call_has_one_outcome(seed: int, pure: bool) -> None:
    chance = random.Random(seed)

    async def test() -> None:
        async with remote_world(hosts=4, proxies=2, pure=pure) as w:
            asked: list[tuple[str, asyncio.Future[bytes | ShoalError]]] = []
            for step in range(150):
                proxy, texts = chance.choice(w.proxies), [f"{step}.{each}" for each in range(chance.randrange(6))]
                asked += [(text, proxy.submit(text)) for text in texts]
                await asyncio.sleep(0.001)
                host = chance.choice(w.hosts)
                if chance.random() < 0.1 and host.server is not None:
                    for guest in list(host.server._guests):
                        guest.connection.abort()
                elif chance.random() < 0.05:
                    await host.stop()
                    await host.start()
            outcomes = [(text.encode(), await future) for text, future in asked]
            odd = [outcome for text, outcome in outcomes if text != outcome]
            if pure:
                assert not odd
            else:
                assert all(isinstance(each, Unavailable) for each in odd)
                served = Counter(body for host in w.hosts for each in host.workers for body in each.served)
                assert max(served.values()) == 1

    asyncio.run(test())


def test_proxies_share_the_workers_of_one_host() -> None:
    async def test() -> None:
        async with remote_world(proxies=3) as w:
            texts = [f"t{each}" for each in range(100)]
            answers = await asyncio.gather(*(proxy.ask(*texts) for proxy in w.proxies))
            assert answers == [texts] * 3
            assert len(w.hosts[0].workers) == 1

    asyncio.run(test())


def test_a_model_is_let_go_of_when_its_last_proxy_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from shoal.serving.remote.host import shelf

    monkeypatch.setattr(shelf, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(shelf, "TICK", 0.01)

    async def test() -> None:
        async with remote_world() as w:
            assert await w.proxy.ask("a") == ["a"]
            (workers,) = w.hosts[0].workers
            await w.proxy.runner.drain()
            await until(lambda: workers.stopped)

    asyncio.run(test())


def test_a_host_that_stands_still_gets_nothing_more_and_what_it_had_is_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "SUSPECT_SECONDS", 0.4)
    monkeypatch.setattr(pulse, "DEAD_SECONDS", 0.8)

    async def test() -> None:
        async with remote_world(hosts=2, held=True) as w:
            await until(lambda: w.proxy.workers.ready == 2)
            asked = [w.proxy.submit(f"t{each}") for each in range(12)]
            await until(lambda: all(host.workers[0].jobs for host in w.hosts))
            first, second = w.hosts
            second.workers[0].release()
            assert first.server is not None
            monkeypatch.setattr(first.server, "_tell", lambda: None)
            monkeypatch.setattr(first.server, "_guest", _refused)
            assert [await each for each in asked] == [b"t%d" % each for each in range(12)]
            assert not first.workers[0].stopped

    asyncio.run(test())


def _refused(admit: object) -> Connection:
    raise ConnectionError


def test_a_model_that_is_stopped_leaves_nothing_under_way() -> None:
    async def test() -> None:
        async with remote_world(held=True) as w:
            asked = w.proxy.submit("a")
            await until(lambda: w.hosts[0].workers[0].jobs)
            await w.proxy.runner.stop()
            assert isinstance(await asked, NotReady)
            assert w.hosts[0].server is not None
            w.hosts[0].workers[0].release()
            assert await w.hosts[0].server.drain(20)

    asyncio.run(test())


def test_replicas_are_spread_over_the_hosts_that_are_there() -> None:
    async def test() -> None:
        async with remote_world(hosts=2, spread=True, limits=Limits(workers=3)) as w:
            await until(lambda: all(host.workers and host.workers[0].resized[-1:] == [2] for host in w.hosts))
            w.proxy.runner.resize(8)
            await until(lambda: all(host.workers[0].resized[-1] == 4 for host in w.hosts))
            w.hosts[0].break_links()
            await until(lambda: w.hosts[1].workers[0].resized[-1] == 8)

    asyncio.run(test())


def test_who_wants_all_of_it_waits_for_each_host() -> None:
    async def test() -> None:
        async with remote_world(hosts=2, start=False) as w:
            w.hosts[0].next.slow = asyncio.Event()
            await w.proxy.crew.start()
            await until(lambda: len(w.proxy.crew.links) == 2)
            starting = asyncio.ensure_future(w.proxy.runner.start(all_ready=True))
            await until(lambda: w.proxy.workers.ready == 1)
            assert not starting.done()
            w.hosts[0].workers[0].slow.set()
            await starting
            assert w.proxy.workers.ready == 2

    asyncio.run(test())


def test_what_nobody_uses_is_told_of() -> None:
    told: list[str] = []

    async def test() -> None:
        async with remote_world(idle_seconds=0.3, on_idle=told.append) as w:
            await w.proxy.ask("a")
            await until(lambda: told)

    asyncio.run(test())
    assert "nobody used it" in told[0]


def test_changed_files_take_the_place_of_those_that_were_kept() -> None:
    async def test() -> None:
        async with remote_world() as w:
            assert w.hosts[0].server is not None
            shelf = w.hosts[0].server.shelf
            (before,) = shelf.stocks
            before.kept = True
            changed = ModelSpec(name="m", path="", runtime="python", digest="other")
            w.hosts[0].source.specs = [changed]
            after = await shelf.take(Wanted("m", "", mark_of(changed)))
            assert (before.kept, after.kept) == (False, True)
            assert await w.proxy.ask("a") == ["a"]

    asyncio.run(test())


class TestWithProcesses:
    """Real workers at a host: what they die of is found out by the proxy."""

    pytestmark = pytest.mark.process

    def test_a_poison_is_found_and_its_neighbours_are_answered(self) -> None:
        async def test() -> None:
            async with remote_world(make=pool, batching=Batching(max_size=16)) as w:
                texts = [f"n{number}" for number in range(15)]
                outcomes = await w.proxy.ask(*texts[:7], "segv", *texts[7:])
                assert isinstance(outcomes.pop(7), PoisonInput)
                assert outcomes == [f"ok:{text}" for text in texts]
                deaths = w.proxy.deaths()
                assert deaths.keys() == {"SIGSEGV"}
                assert deaths["SIGSEGV"] <= 5
                assert isinstance((await w.proxy.ask("segv"))[0], PoisonInput)
                assert await w.proxy.ask("after") == ["ok:after"]

        run(test())

    def test_a_hang_is_ended_at_its_limit_and_kills_from_outside_cost_nobody_an_answer(self) -> None:
        pools: list[Pool] = []

        def make(found: Found) -> Pool:
            pools.append(pool(found))
            return pools[-1]

        async def test() -> None:
            async with remote_world(make=make, limits=Limits(execution_seconds=0.3)) as w:
                assert isinstance((await w.proxy.ask("hang"))[0], PoisonInput)
                assert w.proxy.deaths()["hang"] >= 1
                asked = []
                for number in range(200):
                    asked.append(w.proxy.submit(f"n{number}"))
                    if number % 50 == 0:
                        for pid in [pid for each in pools for pid in each.processes()]:
                            os.kill(pid, signal.SIGKILL)
                    await asyncio.sleep(0.002)
                assert [await each for each in asked] == [b"ok:n%d" % number for number in range(200)]

        run(test())


def pool(found: Found) -> Pool:
    return Pool(found.spec, command=FAKE_WORKER)
