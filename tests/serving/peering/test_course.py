from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.serving.peering.course import Course, Stage, WrongStage

NEXT = {
    "connected": (Stage.CONNECTING, Stage.GREETING),
    "welcomed": (Stage.GREETING, Stage.OPEN),
    "again": (Stage.PAUSING, Stage.CONNECTING),
}


class CourseMachine(RuleBasedStateMachine):
    """A link's course against a table of what may follow what."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.course = Course(jitter=lambda: 1.0)
        self.stage = Stage.CONNECTING
        self.pauses: list[float] = []
        self.due = False

    @rule(what=st.sampled_from(sorted(NEXT)), seconds=st.floats(0.0, 20.0))
    def step(self, what: str, seconds: float) -> None:
        self.now += seconds
        before, after = NEXT[what]
        arguments = (self.now,) if what == "welcomed" else ()
        if self.stage is before:
            getattr(self.course, what)(*arguments)
            self.stage = after
        else:
            with pytest.raises(WrongStage):
                getattr(self.course, what)(*arguments)

    @rule()
    def lost(self) -> None:
        self.course.lost()
        self.course.lost()
        self.due = True
        if self.stage is not Stage.CLOSED:
            self.stage = Stage.PAUSING

    @precondition(lambda self: self.due)
    @rule(refused=st.booleans())
    def pause(self, refused: bool) -> None:
        self.due = False
        pause = self.course.pause(self.now, refused=refused)
        longest = Course.REFUSED if refused else Course.LONGEST
        assert 0 < pause <= longest

    @rule()
    def nudge(self) -> None:
        self.course.nudge()
        assert Course(jitter=lambda: 1.0).pause(self.now) == Course.FIRST

    @rule()
    def close(self) -> None:
        self.course.close()
        self.stage = Stage.CLOSED

    @invariant()
    def agrees(self) -> None:
        assert self.course.stage is self.stage


TestCourse = CourseMachine.TestCase
TestCourse.settings = settings(max_examples=40)


def open_for(course: Course, now: float, seconds: float) -> float:
    course.connected()
    course.welcomed(now)
    course.lost()
    pause = course.pause(now + seconds)
    course.again()
    return pause


def test_pauses_grow_while_nobody_is_there() -> None:
    course = Course(jitter=lambda: 1.0)
    pauses = [course.pause(0.0) for _ in range(8)]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    course.nudge()
    assert course.pause(0.0) == 0.05


def test_pauses_are_of_different_lengths() -> None:
    assert Course(jitter=lambda: 0.0).pause(0.0) == Course(jitter=lambda: 1.0).pause(0.0) / 2


def test_a_connection_that_never_lasts_is_made_less_and_less_often() -> None:
    course = Course(jitter=lambda: 1.0)
    assert [open_for(course, 0.0, 0.1) for _ in range(4)] == [0.05, 0.1, 0.2, 0.4]
    assert open_for(course, 10.0, Course.SETTLED) == 0.05
