"""One request of a batch on its way through the worker, and how requests are put into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shoal.core.errors import ShoalError
from shoal.core.types import InferenceResponse
from shoal.core.wire.heads import Decoded
from shoal.serving.worker.columns import Answer

Result = Answer | InferenceResponse | ShoalError


class Item:
    """A decoded request.

    Attributes:
        form: a `core.call.Format`.
        decoded: the request.
        rows: its rows.
        deadline: monotonic seconds after which it is not started.
        result: what it gets, once known.
    """

    __slots__ = ("deadline", "decoded", "form", "result", "rows")

    def __init__(self, form: int, decoded: Decoded, deadline: float) -> None:
        self.form = form
        self.decoded = decoded
        self.rows = decoded.head.inputs[0].shape[0]
        self.deadline = deadline
        self.result: Result | None = None


def parts(items: Sequence[Item], max_rows: int) -> Iterator[list[Item]]:
    """Whole requests in order, as many as have at most `max_rows` rows together; a larger one is a part of its own."""
    if items and sum([item.rows for item in items]) <= max_rows:
        yield list(items)
        return
    part: list[Item] = []
    rows = 0
    for item in items:
        if part and rows + item.rows > max_rows:
            yield part
            part, rows = [], 0
        part.append(item)
        rows += item.rows
    if part:
        yield part


def owners(items: Sequence[Item]) -> list[int]:
    """For each row of a part, the number of its request."""
    return [number for number, item in enumerate(items) for _ in range(item.rows)]
