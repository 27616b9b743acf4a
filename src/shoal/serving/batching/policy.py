"""When a batch is closed. Pure: a function of the settings, of what waits, of the workers, and of the time.

``adaptive`` sends what is there as soon as a worker is idle: nobody waits while one is. Behind a batch that is still
running it sends another one, so that the worker never waits for us, but only one that is as large: a smaller batch sent
early would have to wait for the worker all the same, and those who come meanwhile could not join it. So callers who ask
again when they are answered are served in two batches by turns; were the second one sent at a part of the first one's
rows, it would be in three smaller ones. What nobody waits for (classes batch and shadow) is never sent early: the next
urgent call would have to wait for it.

``fixed`` is the literal collator: a full batch leaves at once, and a part of one when its first request has waited
`max_wait_ms`, or earlier if a deadline in it would be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Protocol

from shoal.core.call import Call
from shoal.core.model import Batching

MARGIN = 0.005
"""Seconds before a deadline at which a batch leaves at the latest, be it ever so fast."""


class Waiting(Protocol):
    """What waits in the queue."""

    rows: int

    @property
    def urgent(self) -> int:
        """Rows of the interactive ones among them."""

    def head(self, count: int) -> Sequence[Call]:
        """The calls that are next (at least those of the next `count` rows)."""


def seconds_to_close(
    settings: Batching, waiting: Waiting, *, free: int, ahead: int, size: int, expected: float, now: float
) -> float:
    """How long until the next batch is to be closed.

    Args:
        settings: of the model version.
        waiting: what there is to send.
        free: batches that workers would take now.
        ahead: rows that are running in front of the next batch; 0 if a worker is idle.
        size: rows that a batch may hold now.
        expected: seconds that a batch is likely to take.
        now: monotonic seconds.

    Returns:
        0: now. `inf`: not before something changes (a request comes, a worker gets room). Else: in so many seconds.
    """
    if free <= 0 or waiting.rows <= 0:
        return inf
    if settings.policy == "adaptive":
        return 0.0 if ahead <= 0 or waiting.urgent >= min(size, ahead) else inf
    if waiting.rows >= size:
        return 0.0
    calls = waiting.head(size)
    first = min(call.arrived for call in calls)
    tightest = min(call.deadline for call in calls)
    leave = min(first + settings.max_wait_ms / 1000, tightest - max(expected, MARGIN))
    return max(0.0, leave - now)
