"""Calls that go over the hop: one outcome each, whatever becomes of the proxies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from shoal.core.call import State
from shoal.core.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelError,
    NotFound,
    NotReady,
    Overloaded,
    ShoalError,
    TooLarge,
    Unavailable,
)
from shoal.serving.hop import HopSettings, ProxySettings
from shoal.serving.hop.policy.health import FAILURES
from support.hop_world import World, until, world


def run(test: Coroutine[Any, Any, None]) -> None:
    """On the loop that nodes run on."""
    uvloop.run(test)


def test_a_call_is_answered_by_the_one_proxy_that_has_the_model() -> None:
    async def test() -> None:
        async with world(proxies=3, gateways=3) as w:
            for at in range(60):
                w.submit(at)
            await w.settled()
            assert [call.answered for call in w.calls] == [b"m:%d" % at for at in range(60)]
            owner = w.owner()
            assert sorted(owner.dispatch().ran) == sorted(b"%d" % at for at in range(60))
            assert all(not each.dispatch().ran for each in w.proxies if each is not owner)

    run(test())


def test_what_a_call_says_of_itself_arrives() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            dispatch = w.owner().dispatch()
            dispatch.hold = True
            call = w.submit(timeout=7.0, rows=5, level=2, body=bytes(300_000))
            await until(lambda: dispatch.calls)
            (there,) = dispatch.calls
            assert (there.format, there.rows, there.level, len(there.body)) == (call.format, 5, 2, 300_000)
            assert 0 < there.deadline - there.arrived <= 7.0
            dispatch.run_all()
            await w.settled()
            assert call.answered == b"m:" + bytes(300_000)

    run(test())


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("no", hint="do", field="inputs[0]"),
        Overloaded("full", retry_after=2.0),
        ModelError("raised"),
        DeadlineExceeded("late"),
    ],
)
def test_an_error_arrives_as_it_was_and_is_not_tried_again(error: ShoalError) -> None:
    async def test() -> None:
        async with world() as w:
            w.owner().dispatch().error = error
            call = w.submit()
            await w.settled()
            assert type(call.error) is type(error)
            assert call.error.to_record() == error.to_record()
            assert w.counted("shoal_hop_retries_total") == 0

    run(test())


@pytest.mark.parametrize("pure", [True, False])
def test_what_a_proxy_refuses_before_it_was_run_is_tried_elsewhere_once(pure: bool) -> None:
    async def test() -> None:
        async with world(pure=pure) as w:
            w.owner().dispatch().error = NotReady("it is loading")
            assert w.submit(1)
            await w.settled()
            assert w.calls[0].answered == b"m:1"
            for proxy in w.proxies:
                proxy.dispatch().error = NotReady("it is loading")
            w.submit(2)
            await w.settled()
            assert isinstance(w.calls[1].error, NotReady)

    run(test())


def test_what_may_have_been_run_is_not_run_again_if_that_could_matter() -> None:
    async def test() -> None:
        async with world(pure=False) as w:
            for proxy in w.proxies:
                proxy.dispatch().late_error = Unavailable("the worker died while it ran this request")
            w.submit(1)
            await w.settled()
            assert isinstance(w.calls[0].error, Unavailable)
            w.owner().dispatch().hold = True
            w.submit(2)
            await until(lambda: w.owner().dispatch().calls)
            w.owner().break_links()
            await w.settled()
            assert isinstance(w.calls[1].error, Unavailable)
            assert sum(len(each.dispatch().ran) for each in w.proxies) == 1

    run(test())


def test_a_dead_proxy_costs_pure_calls_nothing() -> None:
    async def test() -> None:
        async with world(proxies=2, gateways=3) as w:
            owner = w.owner()
            owner.dispatch().hold = True
            for at in range(200):
                w.submit(at)
            await until(lambda: len(owner.dispatch().calls) == 200)
            await owner.kill()
            await w.settled()
            assert [call.answered for call in w.calls] == [b"m:%d" % at for at in range(200)]
            assert sum(w.counted("shoal_hop_retries_total", at) for at in range(3)) == 200
            assert all(call.state is State.DONE for call in owner.dispatch().calls)

    run(test())


def test_retries_under_way_stay_within_the_budget() -> None:
    async def test() -> None:
        async with world(proxies=2) as w:
            owner = w.owner()
            (other,) = (each for each in w.proxies if each is not owner)
            owner.dispatch().hold = other.dispatch().hold = True
            for at in range(100):
                w.submit(at)
            await until(lambda: len(owner.dispatch().calls) == 100)
            await owner.kill()
            await until(lambda: len(other.dispatch().calls) == 10)
            await asyncio.sleep(0.05)
            assert len(other.dispatch().calls) == 10
            while not all(call.outcomes for call in w.calls):
                other.dispatch().run_all()
                assert sum(call.state is not State.DONE for call in other.dispatch().calls) <= 10
                await asyncio.sleep(0.002)
            assert [call.answered for call in w.calls] == [b"m:%d" % at for at in range(100)]

    run(test())


def test_calls_wait_for_the_only_proxy_to_come_back() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            proxy = w.owner()
            proxy.dispatch().hold = True
            w.submit(1)
            await until(lambda: proxy.dispatch().calls)
            await proxy.kill()
            await until(lambda: not w.gateways[0].proxies.usable)
            w.submit(2)
            proxy.dispatch().hold = False
            await proxy.start()
            await w.settled()
            assert [call.answered for call in w.calls] == [b"m:1", b"m:2"]

    run(test())


def test_without_a_proxy_for_long_calls_are_refused_at_once() -> None:
    async def test() -> None:
        async with world(proxies=0) as w:
            proxy = await w.proxy()
            gateway = await w.gateway(HopSettings(patience_seconds=0.1))
            await w.known()
            await proxy.kill()
            await until(lambda: not gateway.proxies.usable)
            w.submit(1, gateway=1)
            await w.settled()
            assert isinstance(w.calls[0].error, Unavailable)
            await until(lambda: not gateway.proxies.patience())
            call = w.submit(2, gateway=1)
            assert isinstance(call.error, Unavailable)
            assert call.error.retry_after

    run(test())


def test_a_caller_who_leaves_is_told_to_the_proxy() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            dispatch = w.owner().dispatch()
            dispatch.hold = True
            call = w.submit()
            await until(lambda: dispatch.calls)
            w.gateways[0].find("m").dispatch.cancel(call)
            await until(lambda: dispatch.cancelled)
            dispatch.run_all()
            other = w.submit(5)
            await until(lambda: len(dispatch.calls) == 2)
            dispatch.run_all()
            await w.settled()
            assert not call.outcomes
            assert other.answered == b"m:5"
            assert dispatch.ran == [b"5"]
            assert w.gateways[0].calls.in_flight == 0

    run(test())


def test_a_gateway_that_goes_away_takes_its_calls_along() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=2) as w:
            proxy = w.owner()
            dispatch = proxy.dispatch()
            dispatch.hold = True
            for at in range(10):
                w.submit(at, gateway=at % 2)
            await until(lambda: len(dispatch.calls) == 10)
            await w.gateways[0].close()
            await until(lambda: len(dispatch.cancelled) == 5)
            dispatch.run_all()
            await w.settled()
            assert sorted(dispatch.ran) == [b"1", b"3", b"5", b"7", b"9"]
            assert all(isinstance(call.error, Unavailable) for call in w.calls[::2])
            assert proxy.server is not None
            assert proxy.server.in_flight == proxy.server.rows == 0

    run(test())


def test_a_proxy_that_stands_still_costs_a_call_no_more_than_its_deadline() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            dispatch = w.owner().dispatch()
            dispatch.hold = True
            call = w.submit(timeout=0.1)
            await w.settled()
            assert isinstance(call.error, DeadlineExceeded)
            await until(lambda: dispatch.cancelled)

    run(test())


def test_a_draining_proxy_loses_nothing_and_gets_nothing() -> None:
    async def test() -> None:
        async with world(proxies=2, gateways=3, seconds=0.02) as w:
            owner = w.owner()
            assert owner.server is not None
            for at in range(30):
                w.submit(at)
            draining = asyncio.create_task(owner.server.drain(10.0))
            for at in range(30, 90):
                w.submit(at)
                await asyncio.sleep(0.001)
            assert await draining
            before = len(owner.dispatch().ran)
            await owner.server.close()
            owner.server = None
            for at in range(90, 120):
                w.submit(at)
            await w.settled()
            assert [call.answered for call in w.calls] == [b"m:%d" % at for at in range(120)]
            assert len(owner.dispatch().ran) == before

    run(test())


def test_a_proxy_that_hangs_up_at_once_is_tried_again_and_again() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            w.folder.mkdir(mode=0o700)
            greeted = 0

            async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal greeted
                greeted += 1
                writer.transport.abort()

            rude = await asyncio.start_unix_server(hang_up, w.folder / "proxy-0.sock")
            gateway = await w.gateway()
            await until(lambda: greeted > 2)
            rude.close()
            await w.proxy()
            await until(lambda: gateway.proxies.usable)

    asyncio.run(test())


def test_a_proxy_that_is_killed_and_works_in_between_is_not_ejected() -> None:
    async def test() -> None:
        async with world(proxies=2) as w:
            owner = w.owner()
            for at in range(FAILURES + 2):
                w.submit(at)
                await w.settled()
                await w.restart(owner)
            assert w.counted("shoal_hop_ejections_total") == 0
            assert len(owner.dispatch().ran) == FAILURES + 2

    run(test())


def test_a_proxy_that_does_nothing_but_break_is_ejected_but_never_the_last() -> None:
    async def test() -> None:
        async with world(proxies=2) as w:
            gateway, owner = w.gateways[0], w.owner()
            for proxy in (owner, *(each for each in w.proxies if each is not owner)):
                for _ in range(FAILURES):
                    await w.restart(proxy)
            assert w.counted("shoal_hop_ejections_total") == 1
            (usable,) = gateway.proxies.usable
            assert usable.name != owner.name
            w.submit(1)
            await w.settled()
            assert w.calls[0].answered == b"m:1"
            assert not owner.dispatch().ran

    run(test())


def test_a_proxy_that_does_not_read_is_sent_no_more_than_has_room() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(settings=ProxySettings(pending_bytes=10_000))
            await w.gateway(HopSettings(buffer_bytes=200_000))
            await w.known()
            proxy.dispatch().hold = True
            for at in range(60):
                w.submit(at, body=b"%d" % at + bytes(100_000))
                await asyncio.sleep(0)
            refused = [call for call in w.calls if call.outcomes]
            assert refused
            assert all(isinstance(call.error, Overloaded) for call in refused)
            while not all(call.outcomes for call in w.calls):
                proxy.dispatch().run_all()
                await asyncio.sleep(0.001)
            served = [call for call in w.calls if call not in refused]
            assert served
            assert all(call.answered == b"m:" + bytes(call.body) for call in served)

    run(test())


def test_a_body_that_no_proxy_takes_is_refused_here() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=0) as w:
            await w.gateway(HopSettings(frame_bytes=10_000))
            await w.known()
            assert isinstance(w.submit(body=bytes(10_001)).error, TooLarge)
            ok = w.submit(3)
            await w.settled()
            assert ok.answered == b"m:3"

    run(test())


def test_a_model_that_is_gone_is_forgotten() -> None:
    async def test() -> None:
        async with world(proxies=2) as w:
            for proxy in w.proxies:
                proxy.models.handles.clear()
            call = w.submit()
            await w.settled()
            assert isinstance(call.error, NotFound)
            with pytest.raises(NotFound):
                w.gateways[0].find("m")

    run(test())


async def _break_at_random(w: World, random_: random.Random, count: int, kinds: str) -> None:
    for _ in range(count):
        await asyncio.sleep(random_.uniform(0.005, 0.03))
        proxy = random_.choice(w.proxies)
        if random_.choice(kinds.split()) == "break":
            proxy.break_links()
        else:
            await proxy.kill()
            await asyncio.sleep(random_.uniform(0.0, 0.01))
            await proxy.start()
            await until(lambda: all(len(each.proxies.open) == len(w.proxies) for each in w.gateways))


@pytest.mark.parametrize(("seed", "pure"), [(1, True), (2, True), (3, False)])
def test_every_call_has_one_outcome_while_connections_break(seed: int, pure: bool) -> None:
    """Three gateways, two proxies, both killed and cut off again and again; callers leave at random."""

    async def test() -> None:
        random_ = random.Random(seed)
        async with world(proxies=2, gateways=3, pure=pure, seconds=0.003) as w:
            breaking = asyncio.create_task(_break_at_random(w, random_, 12, "break kill"))
            left = set()
            while not breaking.done():
                gateway = random_.randrange(3)
                call = w.submit(gateway=gateway)
                if random_.random() < 0.1:
                    w.gateways[gateway].find("m").dispatch.cancel(call)
                    left.add(call.number)
                if random_.random() < 0.2:
                    await asyncio.sleep(0.001)
            await breaking
            await w.settled()
            for call in w.calls:
                if call.number in left:
                    assert not call.outcomes
                elif call.outcomes and not isinstance(call.outcomes[0], ShoalError):
                    assert call.answered == b"m:%d" % call.number
                else:
                    assert isinstance(call.error, Unavailable)
            runs = [body for proxy in w.proxies for body in proxy.dispatch().ran]
            if not pure:
                assert len(runs) == len(set(runs))
            assert all(gateway.calls.in_flight == 0 for gateway in w.gateways)
            await until(lambda: all(proxy.server and proxy.server.in_flight == 0 for proxy in w.proxies))

    run(test())
