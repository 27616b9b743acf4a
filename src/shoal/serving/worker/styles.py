"""The three styles of adapters, each turning decoded requests into results. One thread, one call at a time.

    Typed      stacks requests of one group and gives rows of arrays
    Text       puts the strings of all requests into one list
    Requests   awaits all requests together on one event loop

Each item gets its result here: an `Answer`, an `InferenceResponse`, or the error that its caller alone will see.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, InvalidInput, ModelContract, ShoalError
from shoal.core.tensors import bytes_array
from shoal.core.types import InferenceResponse, ItemError, Signature
from shoal.serving.adapters.base import Adapter, RequestAdapter, TextAdapter, TypedAdapter
from shoal.serving.worker import binding, columns, execution, stacking
from shoal.serving.worker.columns import Answer
from shoal.serving.worker.execution import Budget, Outcome, Produced
from shoal.serving.worker.items import Item, owners, parts
from shoal.serving.worker.responses import complete


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
        for item in part:
            if item.deadline <= now:
                item.result = expired()
        return [item for item in part if item.result is None]


def expired() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed before the model was asked")


def style_of(adapter: Adapter, signature: Signature, clock: Clock, *, special: bool) -> Style:
    """The style of an adapter."""
    if isinstance(adapter, TypedAdapter):
        return Typed(adapter, signature, clock, special=special)
    if isinstance(adapter, TextAdapter):
        return Text(adapter, signature, clock, special=special)
    if isinstance(adapter, RequestAdapter):
        return Requests(adapter, signature, clock, special=special)
    raise ModelContract(f"{type(adapter).__name__} is none of TypedAdapter, TextAdapter, RequestAdapter")


def _settle(items: Sequence[Item], outcome: Outcome) -> None:
    """Cut the outcome of a part into the results of its items."""
    start = 0
    for item in items:
        stop = start + item.rows
        errors = outcome.errors
        if errors:
            own = {row - start: errors[row] for row in range(start, stop) if row in errors}
            item.result = Answer(outcome.columns, start, stop, own or None)
        else:
            item.result = Answer(outcome.columns, start, stop)
        start = stop


def _run_part(
    style: Style, items: list[Item], call: Callable[[int, int], Produced], max_rows: int, budget: Budget
) -> None:
    """Run one part and settle it; a broken contract fails all of it."""
    rows = sum(item.rows for item in items)
    try:
        if style.batchable:
            outcome = execution.run(call, rows, chunk=max(max_rows, 1), owners=owners(items), budget=budget)
        else:
            outcome = execution.run(call, rows, chunk=max(rows, 1), owners=None, budget=budget)
    except ModelContract as error:
        for item in items:
            item.result = error
        return
    _settle(items, outcome)


class Typed(Style):
    """Arrays in, arrays out."""

    def __init__(self, adapter: TypedAdapter, signature: Signature, clock: Clock, *, special: bool) -> None:
        super().__init__(signature, clock, special=special)
        self._adapter = adapter
        self._binder = binding.Binder(signature, adapter.accepts)

    def admit(self, item: Item) -> None:
        plan = self._binder.plan(item.decoded.head)
        if any(each.checked for each in plan.inputs):
            binding.check_values(item.decoded, plan)

    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        groups: dict[int, list[Item]] = {}
        for item in items:
            groups.setdefault(item.decoded.head.plan.group, []).append(item)
        calls = 0
        for group in groups.values():
            for part in parts(group, max_rows if self.batchable else 0):
                calls += self._run(part, max_rows, seconds)
        return calls

    def _run(self, part: list[Item], max_rows: int, seconds: float) -> int:
        items = self.still_wanted(part)
        if not items:
            return 0
        items, inputs = self._stack(items)
        if not items:
            return 0
        rows = sum(item.rows for item in items)
        budget = Budget.of(rows, seconds, self.clock)
        predict, signature = self._adapter.predict, self.signature

        def call(start: int, stop: int) -> Produced:
            if stop - start == rows:
                return columns.of_mapping(predict(inputs), rows, signature)
            some = {name: array[start:stop] for name, array in inputs.items()}
            return columns.of_mapping(predict(some), stop - start, signature)

        _run_part(self, items, call, max_rows, budget)
        return budget.calls

    def _stack(self, items: list[Item]) -> tuple[list[Item], dict[str, columns.Array]]:
        """The arrays of those requests whose numbers are finite; the others get their error."""
        plan = items[0].decoded.head.plan
        with np.errstate(over="ignore"):
            inputs = stacking.stack([item.decoded for item in items], plan, sum(item.rows for item in items))
            if self.special or stacking.all_finite(inputs):
                return items, inputs
            good = [item for item in items if self._is_finite(item)]
            return good, stacking.stack([item.decoded for item in good], plan, sum(item.rows for item in good))

    def _is_finite(self, item: Item) -> bool:
        plan = item.decoded.head.plan
        for each in plan.inputs:
            one = binding.Plan(plan.group, plan.rows, (each,))
            if not stacking.all_finite(stacking.stack([item.decoded], one, item.rows)):
                sentence = f"a number is not finite, or too large for {each.datatype}"
                hint = "set `allow_nonfinite: true` in model.yaml if the model can take it"
                item.result = InvalidInput(sentence, hint=hint, field=f"inputs[{each.index}].data")
                return False
        return True


class Text(Style):
    """Strings in, strings out."""

    def __init__(self, adapter: TextAdapter, signature: Signature, clock: Clock, *, special: bool) -> None:
        super().__init__(signature, clock, special=special)
        self._adapter = adapter
        self._output = signature.outputs[0].name if signature.outputs else "output"

    def admit(self, item: Item) -> None:
        head = item.decoded.head
        if len(head.inputs) != 1:
            raise InvalidInput("the model takes one input of text", field="inputs[1]")
        only = head.inputs[0]
        if only.datatype != "BYTES":
            raise InvalidInput(f"the model takes text (BYTES), not {only.datatype}", field="inputs[0].datatype")
        if only.count != only.shape[0]:
            raise InvalidInput("the model takes text of shape [n] or [n, 1]", field="inputs[0].shape")
        for at, each in enumerate(head.outputs or ()):
            if each.name != self._output:
                sentence = f"the model has no output {each.name[:80]!r}"
                raise InvalidInput(sentence, hint=f"it has: {self._output}", field=f"outputs[{at}].name")
        values = item.decoded.data[0]
        if any(type(value) is bytes for value in values):
            item.decoded.data = (_as_texts(values),)

    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        return sum(self._run(part, max_rows, seconds) for part in parts(items, max_rows if self.batchable else 0))

    def _run(self, part: list[Item], max_rows: int, seconds: float) -> int:
        items = self.still_wanted(part)
        if not items:
            return 0
        texts: list[str] = [text for item in items for text in item.decoded.data[0]]
        budget = Budget.of(len(texts), seconds, self.clock)

        def call(start: int, stop: int) -> Produced:
            return self._produced(self._adapter.predict_all(texts[start:stop]), stop - start)

        _run_part(self, items, call, max_rows, budget)
        return budget.calls

    def _produced(self, answers: Any, rows: int) -> Produced:
        if not isinstance(answers, list):
            raise ModelContract(f"predict_all must return a list, it returned {type(answers).__name__}")
        if len(answers) != rows:
            raise ModelContract(f"predict_all returned {len(answers)} answers for {rows} inputs")
        errors = {row: each for row, each in enumerate(answers) if isinstance(each, ItemError)}
        strange = [type(each).__name__ for each in answers if not isinstance(each, (str, ItemError))]
        if strange:
            raise ModelContract(f"predict_all must return strings, it returned {strange[0]}")
        texts = ["" if isinstance(each, ItemError) else each for each in answers]
        return {self._output: ("BYTES", bytes_array(texts))}, errors


def _as_texts(values: Sequence[str | bytes]) -> list[str]:
    texts: list[str] = []
    for row, value in enumerate(values):
        try:
            texts.append(value if isinstance(value, str) else value.decode())
        except UnicodeDecodeError as error:
            where = f"inputs[0].data[{row}]"
            raise InvalidInput("the model takes text, but this is not UTF-8", field=where) from error
    return texts


class Requests(Style):
    """One whole request at a time, those of a batch awaited together."""

    def __init__(self, adapter: RequestAdapter, signature: Signature, clock: Clock, *, special: bool) -> None:
        super().__init__(signature, clock, special=special)
        self._adapter = adapter
        self._own: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._adapter.loop is not None:
            return self._adapter.loop
        if self._own is None:
            self._own = asyncio.new_event_loop()
        return self._own

    def close(self) -> None:
        """Let go of the event loop."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def admit(self, item: Item) -> None:
        """Whatever is well-formed is for the author to judge; NaN is not, unless the model may have it."""
        if self.special:
            return
        for at, (head, data) in enumerate(zip(item.decoded.head.inputs, item.decoded.data, strict=True)):
            if head.datatype in ("FP16", "FP32", "FP64") and not np.isfinite(np.asarray(data)).all():
                raise InvalidInput("a number is not finite", field=f"inputs[{at}].data")

    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        wanted = self.still_wanted(list(items))
        if self.batchable:
            self._loop.run_until_complete(self._answer_all(wanted))
        else:
            for item in wanted:
                self._loop.run_until_complete(self._answer_all([item]))
        return len(wanted)

    async def _answer_all(self, items: list[Item]) -> None:
        results = await asyncio.gather(*(self._answer(item) for item in items))
        for item, result in zip(items, results, strict=True):
            item.result = result

    async def _answer(self, item: Item) -> InferenceResponse | ShoalError:
        try:
            return complete(await self._adapter.predict(_named(item)), item.decoded.head)
        except ModelContract as error:
            return error
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a user's code may raise anything
            execution.log_failure(error, self.clock())
            return execution.describe(error)


def _named(item: Item) -> Any:
    request = item.decoded.to_request()
    for tensor in request.inputs:
        tensor.name = tensor.name or "inputs"
    return request
