"""One timer for all deadlines: when it looks, and that it looks neither too early nor too often."""

from __future__ import annotations

from math import inf

import pytest

from shoal.serving.batching.deadlines import PAUSE, SLACK, DeadlineWatch
from support.virtual_loop import VirtualLoop


class Sweeps:
    """Notes when it is asked, and says what it was given as the next deadline."""

    def __init__(self, *upcoming: float) -> None:
        self.at: list[float] = []
        self._upcoming = list(upcoming)

    def __call__(self, now: float) -> float:
        self.at.append(now)
        return self._upcoming.pop(0) if self._upcoming else inf


def watch() -> tuple[VirtualLoop, DeadlineWatch]:
    loop = VirtualLoop()
    return loop, DeadlineWatch(loop.clock, loop)


def test_it_looks_a_little_after_the_deadline_and_once() -> None:
    loop, deadlines = watch()
    start, sweeps = loop.clock.now, Sweeps()
    deadlines.look_at(start + 1.0, sweeps)
    assert deadlines.next == start + 1.0
    loop.advance(5.0)
    assert sweeps.at == [pytest.approx(start + 1.0 + SLACK)]
    assert (deadlines.next, loop.timers) == (inf, 0)


def test_an_earlier_deadline_takes_the_timer_over() -> None:
    loop, deadlines = watch()
    start, late, early = loop.clock.now, Sweeps(), Sweeps()
    deadlines.look_at(start + 3.0, late)
    deadlines.look_at(start + 1.0, early)
    assert loop.timers == 1
    loop.advance(5.0)
    assert (len(early.at), late.at) == (1, [])


def test_it_goes_on_with_the_next_deadline_that_it_is_told() -> None:
    loop, deadlines = watch()
    start = loop.clock.now
    sweeps = Sweeps(start + 2.0)
    deadlines.look_at(start + 1.0, sweeps)
    loop.advance(1.5)
    assert deadlines.next == start + 2.0
    loop.advance(3.0)
    assert sweeps.at == [pytest.approx(start + 1.0 + SLACK), pytest.approx(start + 2.0 + SLACK)]


def test_deadlines_that_are_close_are_looked_at_with_pauses() -> None:
    loop, deadlines = watch()
    start = loop.clock.now
    sweeps = Sweeps(start + 1.0005, start)
    deadlines.look_at(start + 1.0, sweeps)
    loop.advance(5.0)
    first = start + 1.0 + SLACK
    assert sweeps.at == [pytest.approx(first + number * PAUSE) for number in range(3)]


def test_a_deadline_of_a_call_that_the_sweep_brings_in_is_not_forgotten() -> None:
    loop, deadlines = watch()
    start, inner = loop.clock.now, Sweeps()

    def sweep(now: float) -> float:
        deadlines.look_at(start + 2.0, inner)
        return start + 4.0

    deadlines.look_at(start + 1.0, sweep)
    loop.advance(1.5)
    assert (deadlines.next, loop.timers) == (start + 2.0, 1)
    loop.advance(5.0)
    assert len(inner.at) == 1


def test_a_closed_watch_looks_at_nothing() -> None:
    loop, deadlines = watch()
    sweeps = Sweeps()
    deadlines.look_at(loop.clock.now + 1.0, sweeps)
    deadlines.close()
    deadlines.close()
    loop.advance(5.0)
    assert (sweeps.at, loop.timers) == ([], 0)
