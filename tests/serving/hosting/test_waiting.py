"""Calls of a model that is not in memory, on virtual time."""

from __future__ import annotations

import pytest

from shoal.core.errors import DeadlineExceeded, Overloaded
from shoal.serving.hosting.waiting import Waiting
from support.calls import RecordedCall
from support.virtual_loop import VirtualLoop


class World:
    def __init__(self, due: float = 0.0) -> None:
        self.loop = VirtualLoop()
        self.due = due and self.loop.clock.now + due
        self.woken = 0
        self.counted: list[str] = []
        self.waiting = Waiting(
            "m",
            self.wake,
            clock=self.loop.clock,
            loop=self.loop,
            count=self.counted.append,
            due=lambda: self.due,
        )

    def wake(self) -> None:
        self.woken += 1

    def submit(self, timeout: float, level: int = 1) -> RecordedCall:
        call = RecordedCall(arrived=self.loop.clock.now, timeout=timeout, level=level)
        self.waiting.submit(call)
        return call


def test_what_cannot_be_answered_in_time_is_told_at_once_and_wakes_the_model_all_the_same() -> None:
    world = World(due=5.0)
    call = world.submit(timeout=1.0)
    assert isinstance(call.error, Overloaded)
    assert call.error.retry_after == pytest.approx(5.0)
    assert (world.woken, world.counted, len(world.waiting)) == (1, ["overloaded"], 0)


@pytest.mark.parametrize(("due", "timeout", "level"), [(0.0, 0.1, 1), (5.0, 6.0, 1), (5.0, 1.0, 0)])
def test_all_others_wait_until_their_time_is_over(due: float, timeout: float, level: int) -> None:
    world = World(due)
    call = world.submit(timeout, level)
    assert not call.outcomes
    world.loop.advance(timeout + 0.1)
    assert isinstance(call.error, DeadlineExceeded)
