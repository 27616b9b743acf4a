"""The course of a connection to another process: its stages, and how long it pauses when it is lost. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum


class WrongStage(Exception):
    """The peer has said what it may not say now."""


class Stage(Enum):
    """Where a link is."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    OPEN = "open"
    PAUSING = "pausing"
    CLOSED = "closed"


class Course:
    """The state machine of a link, and how long it pauses. Pure.

    Args:
        jitter: a number from 0 to 1 each time it is called.
    """

    FIRST = 0.05
    LONGEST = 2.0
    REFUSED = 5.0
    """Seconds before a proxy of another protocol is tried again: it may have been replaced."""
    SETTLED = 5.0
    """Seconds after which a connection is taken for a good one, so that its end is the first of its kind."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self.stage = Stage.CONNECTING
        self._jitter = jitter
        self._failures = 0
        self._opened: float | None = None

    def connected(self) -> None:
        """Somebody is there."""
        self._step(Stage.CONNECTING, Stage.GREETING)

    def welcomed(self, now: float) -> None:
        """It is a proxy that we understand."""
        self._step(Stage.GREETING, Stage.OPEN)
        self._opened = now

    def lost(self) -> None:
        """The connection could not be made, or broke."""
        if self.stage is not Stage.CLOSED:
            self.stage = Stage.PAUSING

    def pause(self, now: float, *, refused: bool = False) -> float:
        """How many seconds to pause after a loss."""
        if self._opened is not None and now - self._opened >= self.SETTLED:
            self._failures = 0
        self._opened = None
        longest = self.REFUSED if refused else min(self.FIRST * 2**self._failures, self.LONGEST)
        self._failures = min(self._failures + 1, 16)
        return longest * (0.5 + 0.5 * self._jitter())

    def again(self) -> None:
        """The pause is over."""
        self._step(Stage.PAUSING, Stage.CONNECTING)

    def nudge(self) -> None:
        """Something new is at the address: forget what failed."""
        self._failures = 0

    def close(self) -> None:
        """It is wanted no more."""
        self.stage = Stage.CLOSED

    def _step(self, before: Stage, after: Stage) -> None:
        if self.stage is not before:
            raise WrongStage(f"a link that is {self.stage.value} cannot be {after.value}")
        self.stage = after
