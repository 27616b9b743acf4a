"""Deadlines and retries of one call, in time that only moves when told to."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.client.caller import Caller, LinkError
from shoal.client.operations import Headers, Operation, Outgoing, Reply
from shoal.client.problems import from_http
from shoal.client.retry import Failure, Retries
from shoal.core.clock import ManualClock
from shoal.core.errors import Overloaded, ShoalError, Unavailable


def decode(reply: Reply) -> bytes:
    if reply.status >= 400:
        raise from_http(reply)
    return reply.body


GET = Outgoing(b"GET", b"/")
OK = Reply(200, {}, b"yes")
SHED = Reply(503, {b"retry-after": b"1"}, b'{"error": "busy", "code": "overloaded"}')
LOST = LinkError(Failure.LOST, "lost")
UNSENT = LinkError(Failure.UNSENT, "refused")


class Script:
    """A channel whose replies are written beforehand; it notes when it was asked."""

    def __init__(self, clock: ManualClock, *replies: Reply | LinkError) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.asked: list[float] = []

    async def send(self, outgoing: Outgoing, headers: Headers) -> Reply:
        self.asked.append(self.clock())
        reply = self.replies.pop(0)
        if isinstance(reply, LinkError):
            raise reply
        return reply


def call(*replies: Reply | LinkError, pure: bool = True, timeout: float = 60.0) -> tuple[bytes | ShoalError, Script]:
    clock = ManualClock()
    script = Script(clock, *replies)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    caller = Caller(script, lambda left: (), Retries(attempts=2), clock=clock, sleep=sleep, rng=Random(1))

    async def scenario() -> bytes | ShoalError:
        try:
            return await caller.call(Operation(GET, decode, pure), timeout)
        except ShoalError as error:
            return error
        finally:
            assert (caller.budget.in_flight, caller.budget.retrying) == (0, 0)

    return asyncio.run(scenario()), script


@pytest.mark.parametrize("failures", [[UNSENT], [LOST], [SHED], [LOST, SHED]])
def test_safe_failures_are_tried_again(failures: list[Reply | LinkError]) -> None:
    answer, script = call(*failures, OK)
    assert answer == b"yes"
    assert len(script.asked) == len(failures) + 1


def test_a_call_that_is_not_pure_is_tried_again_only_if_it_was_never_sent() -> None:
    assert call(UNSENT, OK, pure=False)[0] == b"yes"
    assert isinstance(call(LOST, pure=False)[0], Unavailable)
    assert isinstance(call(SHED, pure=False)[0], Overloaded)


def test_the_servers_pause_is_kept() -> None:
    _, script = call(SHED, OK)
    assert script.asked[1] - script.asked[0] >= 1.0


def test_a_pause_beyond_the_deadline_ends_the_call_at_once() -> None:
    answer, script = call(SHED, timeout=0.9)
    assert isinstance(answer, Overloaded)
    assert len(script.asked) == 1


def test_attempts_are_counted() -> None:
    answer, script = call(UNSENT, UNSENT, UNSENT)
    assert isinstance(answer, Unavailable)
    assert len(script.asked) == 3


def test_an_answer_is_never_asked_for_twice() -> None:
    answer, script = call(Reply(503, {}, b"down"))
    assert isinstance(answer, Unavailable)
    assert len(script.asked) == 1


@given(calls=st.integers(1, 60))
def test_a_server_that_fails_all_calls_is_asked_little_more_than_once_by_each(calls: int) -> None:
    """Retries at the same time stay within max(3, 10 % of the calls in flight)."""

    async def scenario() -> tuple[int, int]:
        clock = ManualClock()
        waiting: list[asyncio.Event] = []

        class Down:
            asked = 0

            async def send(self, outgoing: Outgoing, headers: Headers) -> Reply:
                self.asked += 1
                await asyncio.sleep(0)
                raise UNSENT

        async def sleep(seconds: float) -> None:
            event = asyncio.Event()
            waiting.append(event)
            await event.wait()

        down = Down()
        caller = Caller(down, lambda left: (), Retries(attempts=1), clock=clock, sleep=sleep, rng=Random(1))
        tasks = [asyncio.ensure_future(caller.call(Operation(GET, decode), 60.0)) for _ in range(calls)]
        for _ in range(5):
            await asyncio.sleep(0)
        most = caller.budget.retrying
        for event in waiting:
            event.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (caller.budget.in_flight, caller.budget.retrying) == (0, 0)
        return most, down.asked

    most, asked = asyncio.run(scenario())
    assert most <= max(3, calls // 10)
    assert asked <= calls + max(3, calls // 10)


def test_cancelling_a_call_that_waits_gives_its_retry_back() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        sleeping = asyncio.Event()

        async def sleep(seconds: float) -> None:
            sleeping.set()
            await asyncio.Event().wait()

        caller = Caller(Script(clock, UNSENT), lambda left: (), Retries(), clock=clock, sleep=sleep)
        task = asyncio.ensure_future(caller.call(Operation(GET, decode), 60.0))
        await sleeping.wait()
        assert caller.budget.retrying == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (caller.budget.in_flight, caller.budget.retrying) == (0, 0)

    asyncio.run(scenario())
