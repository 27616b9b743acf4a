"""What the three styles of adapters share; each turns decoded requests into results. One thread, one call at a time.

    typed      stacks requests of one group and gives rows of arrays
    text       puts the strings of all requests into one list
    awaited    awaits all requests together on one event loop

Each item gets its result there: an `Answer`, an `InferenceResponse`, or the error that its caller alone will see.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, ModelContract
from shoal.core.types import Signature
from shoal.serving.worker import execution
from shoal.serving.worker.columns import Answer
from shoal.serving.worker.execution import Budget, Outcome, Produced
from shoal.serving.worker.items import Item, owners


class Style(ABC):
    """What the batch engine asks of a model.

    Args:
        signature: of the model.
        clock: monotonic seconds.
        special: whether NaN and infinities may come in.
    """

    def __init__(self, signature: Signature, clock: Clock, *, special: bool) -> None:
        self.signature = signature
        self.batchable = True
        self.clock = clock
        self.special = special

    @abstractmethod
    def admit(self, item: Item) -> None:
        """Check that a request fits the model, before anything runs.

        Raises:
            InvalidInput: it does not.
        """

    @abstractmethod
    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        """Give each item its result; returns how often the adapter was called.

        Args:
            items: admitted.
            max_rows: rows that one call of the adapter may have.
            seconds: time for finding out who made a batch fail.
        """

    def still_wanted(self, part: list[Item]) -> list[Item]:
        """Those whose time is not over; the others get their error."""
        now = self.clock()
        if min([item.deadline for item in part]) > now:
            return part
        for item in part:
            if item.deadline <= now:
                item.result = expired()
        return [item for item in part if item.result is None]


def expired() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the model was asked")


def _settle(items: Sequence[Item], outcome: Outcome) -> None:
    """Cut the outcome of a part into the results of its items."""
    start, columns, errors = 0, outcome.columns, outcome.errors
    for item in items:
        stop = start + item.rows
        own = {row - start: errors[row] for row in range(start, stop) if row in errors} if errors else None
        item.result = Answer(columns, start, stop, own or None)
        start = stop


def run_part(
    style: Style, items: list[Item], call: Callable[[int, int], Produced], max_rows: int, budget: Budget
) -> None:
    """Run one part and settle it; a broken contract fails all of it."""
    rows = sum([item.rows for item in items])
    try:
        if style.batchable:
            outcome = execution.run(call, rows, chunk=max(max_rows, 1), owners=partial(owners, items), budget=budget)
        else:
            outcome = execution.run(call, rows, chunk=max(rows, 1), owners=None, budget=budget)
    except ModelContract as error:
        for item in items:
            item.result = error
        return
    _settle(items, outcome)
