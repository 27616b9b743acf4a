"""Runs the adapter over the rows of a group: in parts, and, when it raises, in halves, until only the culprit fails.

The halves run within a budget of executions and of time, so that a batch of bad rows cannot hold up everybody else. A
broken contract (wrong number of rows) fails all rows at once: nobody can tell whose row is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, InvalidInput, ModelContract, ModelError, ShoalError, Unavailable
from shoal.core.types import ItemError
from shoal.serving.worker.columns import Column, Columns

Array = npt.NDArray[Any]
Produced = tuple[dict[str, tuple[str, Array]], dict[int, ItemError]]
"""Outputs by name as (datatype, rows), and the rows that the adapter itself declared as failed."""

LONGEST_MESSAGE = 500
EACH_ROW = 64
"""Rows of a batch of which all but one may be bad without a failure for the good one."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Budget:
    """What may be spent on finding culprits.

    Attributes:
        executions: calls of the adapter that are left for halves.
        until: monotonic seconds after which halves are not started.
        calls: calls of the adapter so far, halves or not.
    """

    executions: int
    until: float
    clock: Clock
    calls: int = 0

    @classmethod
    def of(cls, rows: int, seconds: float, clock: Clock) -> Budget:
        """Enough to try every row of a batch up to `EACH_ROW`: at most twice what they would have cost one by one. Of a
        larger one, enough for as many, and for two culprits among all (each costs 2 log2 n)."""
        two = 4 * max(rows - 1, 1).bit_length() + 4
        return cls(max(two, 2 * min(rows, EACH_ROW)), clock() + seconds, clock)


@dataclass(slots=True)
class Outcome:
    """What became of the rows of a group; a failed row has a filler in `columns` and its error in `errors`."""

    columns: Columns
    errors: dict[int, ShoalError] = field(default_factory=dict)


def run(
    call: Callable[[int, int], Produced],
    rows: int,
    *,
    chunk: int,
    owners: Callable[[], list[int]] | None,
    budget: Budget,
) -> Outcome:
    """Predict for all rows.

    Args:
        call: predicts for the rows from start to stop.
        rows: how many there are.
        chunk: rows that one call may have.
        owners: tells the request that each row belongs to; None: the rows cannot be parted.
        budget: for the halves.

    Raises:
        ModelContract: the adapter broke its promise; holds for all rows.
    """
    todo = [(start, min(start + chunk, rows)) for start in range(0, rows, chunk)][::-1]
    segments: list[tuple[int, int, Produced]] = []
    errors: dict[int, ShoalError] = {}
    while todo:
        start, stop = todo.pop()
        try:
            budget.calls += 1
            segments.append((start, stop, call(start, stop)))
        except ModelContract:
            raise
        except Exception as error:  # noqa: BLE001 - a user's code may raise anything
            log_failure(error, budget.clock())
            if owners is None or stop - start == 1 or not _afford_halves(budget):
                known = owners is None or (of := owners())[start] == of[stop - 1]
                told = describe(error) if known else _unknown_culprit(error)
                errors.update(dict.fromkeys(range(start, stop), told))
            else:
                middle = (start + stop) // 2
                todo += [(middle, stop), (start, middle)]
    return _assemble(segments, errors, rows)


def _afford_halves(budget: Budget) -> bool:
    if budget.executions < 2 or budget.clock() >= budget.until:
        return False
    budget.executions -= 2
    return True


def _unknown_culprit(error: BaseException) -> ModelError:
    """For several callers at once: the exception's text might be about another's data."""
    sentence = f"the model failed ({type(error).__name__}) on a batch that this request was part of"
    return ModelError(sentence, hint="try again; alone it may succeed")


class _LastLog:
    """When a failure was last logged: a flood of bad requests must not become a flood of tracebacks."""

    until = float("-inf")


def log_failure(error: BaseException, now: float) -> None:
    """Log an exception of a user's code with its traceback, at most once per second; bad input is not news."""
    if isinstance(error, InvalidInput) or now < _LastLog.until:
        return
    _LastLog.until = now + 1.0
    logger.warning("adapter raised", exc_info=error)


def describe(error: BaseException) -> ShoalError:
    """What a caller is told of an exception of the adapter; bad input and the like say so themselves."""
    if isinstance(error, (InvalidInput, Unavailable, DeadlineExceeded)):
        return error
    name = type(error).__name__
    text = error.message if isinstance(error, ShoalError) else f"{name}: {error}" if str(error) else name
    return ModelError(f"the model failed: {text[:LONGEST_MESSAGE]}")


def _assemble(segments: list[tuple[int, int, Produced]], errors: dict[int, ShoalError], rows: int) -> Outcome:
    for start, _, (_, failed) in segments:
        for row, each in failed.items():
            errors[start + row] = InvalidInput(each.message, hint=each.hint)
    if len(segments) == 1 and segments[0][1] - segments[0][0] == rows:
        outputs = segments[0][2][0]
        return Outcome(Columns([Column(name, *each) for name, each in outputs.items()]), errors)
    if not segments:
        return Outcome(Columns(()), errors)
    return Outcome(Columns([_gather(name, segments, rows) for name in segments[0][2][0]]), errors)


def _gather(name: str, segments: list[tuple[int, int, Produced]], rows: int) -> Column:
    """One output of several calls; rows of failed calls are filled up."""
    pieces = [(start, stop, outputs.get(name)) for start, stop, (outputs, _) in segments]
    kinds = {(piece[0], piece[1].shape[1:]) if piece else None for _, _, piece in pieces}
    first = pieces[0][2]
    if len(kinds) != 1 or first is None:
        raise ModelContract(f"output {name!r} is not of one datatype and row shape for all rows")
    datatype, array = first
    joined = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    if datatype == "BYTES":
        joined.fill(b"")
    for start, stop, piece in pieces:
        assert piece is not None
        joined[start:stop] = piece[1]
    return Column(name, datatype, joined)
