"""Turns: nobody starves, nobody is called for nothing, and nobody who waits is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.pool.shared.line import Line, Pace

DEPTH = 2


class Model:
    """Somebody with jobs, who asks and sends as a batcher does."""

    def __init__(self, world: World, jobs: int) -> None:
        self.world = world
        self.jobs = jobs
        self.sent = 0

    def on_room(self) -> None:
        while self.jobs and self.world.line.room(self, self.world.slots()) > 0:
            self.jobs -= 1
            self.sent += 1
            self.world.line.sent()
            self.world.running.append(self)


class World:
    """A worker with `DEPTH` slots, first come, first done."""

    def __init__(self, jobs: list[int]) -> None:
        self.line = Line()
        self.running: list[Model] = []
        self.models = [Model(self, count) for count in jobs]

    def slots(self) -> int:
        return DEPTH - len(self.running)

    def finish(self) -> Model:
        done = self.running.pop(0)
        self.line.serve(self.slots)
        return done


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_each_in_turn_and_nobody_is_forgotten(jobs: list[int]) -> None:
    world = World(jobs)
    for model in world.models:
        model.on_room()
    order = []
    while world.running:
        assert len(world.running) <= DEPTH
        order.append(world.models.index(world.finish()))
        waiting = [model for model in world.models if model.jobs]
        if len(waiting) > 1:  # of those that still wait nobody is far ahead of the others
            sent = [model.sent for model in waiting]
            assert max(sent) - min(sent) <= DEPTH + 1  # what it took when nobody else wanted it
    assert [order.count(at) for at in range(len(jobs))] == jobs
    assert len(world.line) == 0


def test_one_that_leaves_is_not_called() -> None:
    world = World([0, 1, 1])
    gone, stays = world.models[1:]
    world.running = [world.models[0]] * DEPTH
    for model in (gone, stays):
        model.on_room()
    world.line.leave(gone)
    world.finish()
    assert (gone.sent, stays.sent) == (0, 1)


def test_without_a_turn_anybody_may_take_what_is_free() -> None:
    world = World([5, 1])
    greedy, other = world.models
    greedy.on_room()
    assert greedy.sent == DEPTH
    other.on_room()
    assert (other.sent, len(world.line)) == (0, 2)
    world.finish()
    assert (greedy.sent, other.sent) == (DEPTH + 1, 0)
    world.finish()
    assert other.sent == 1


def test_the_pace_is_what_a_job_takes_a_worker_that_is_busy() -> None:
    pace = Pace()
    pace.ended(0.0, busy=False)
    pace.ended(50.0, busy=True)  # it was idle in between
    assert pace.seconds == 0.0
    pace.ended(50.2, busy=True)
    assert pace.seconds == pytest.approx(0.2)
    for number in range(1, 100):
        pace.ended(50.2 + 0.1 * number, busy=True)
    assert pace.seconds == pytest.approx(0.1, rel=0.01)
