"""How close a node is to the end of its memory, and what it stops doing for that. Pure.

    used ──70 %──▶ WATCHFUL ──85 %──▶ TIGHT ──95 %──▶ CRITICAL
             nothing that can wait     small queues,       what waits longest in
             (batch, shadow)           small caches        the largest queue is shed

Up it goes at once, as far as it must; down one stage at a time, when the use has been a twentieth below the stage's
bound for a second. So it neither waits for an operator nor goes to and fro about a bound.
"""

from __future__ import annotations

from enum import IntEnum

BOUNDS = (0.70, 0.85, 0.95)
"""The part of what there is above which each stage begins."""
SLACK = 0.05
"""How far below its bound the use must be for a stage to end."""
CALM_SECONDS = 1.0
"""How long it must be so."""


class Stage(IntEnum):
    """See the module."""

    CALM = 0
    WATCHFUL = 1
    TIGHT = 2
    CRITICAL = 3


class Pressure:
    """See the module.

    Attributes:
        stage: as it is now.
    """

    def __init__(self) -> None:
        self.stage = Stage.CALM
        self._since: float | None = None

    def observe(self, used: float, now: float) -> Stage:
        """The stage, now that such a part of what there is is used.

        Args:
            used: 1.0 is all of it.
            now: monotonic seconds.
        """
        reached = Stage(sum(used >= bound for bound in BOUNDS))
        if reached >= self.stage:
            self.stage, self._since = reached, None
        elif used >= BOUNDS[self.stage - 1] - SLACK:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= CALM_SECONDS:
            self.stage, self._since = Stage(self.stage - 1), now
        return self.stage
