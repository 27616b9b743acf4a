"""Models of arrays: the rows of all requests of one group, stacked."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.clock import Clock
from shoal.core.errors import InvalidInput
from shoal.core.types import Signature
from shoal.serving.adapters.base import TypedAdapter
from shoal.serving.worker import binding, columns, stacking
from shoal.serving.worker.execution import Budget, Produced
from shoal.serving.worker.items import Item, parts
from shoal.serving.worker.styles import Style, run_part


class Typed(Style):
    """Arrays in, arrays out."""

    def __init__(self, adapter: TypedAdapter, signature: Signature, clock: Clock, *, special: bool) -> None:
        super().__init__(signature, clock, special=special)
        self._adapter = adapter
        self._binder = binding.Binder(signature, adapter.accepts)

    def admit(self, item: Item) -> None:
        plan = self._binder.plan(item.decoded.head)
        if plan.checked:
            binding.check_values(item.decoded, plan)

    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        groups: dict[int, list[Item]] = {}
        for item in items:
            group: int = item.decoded.head.plan.group
            if group in groups:
                groups[group].append(item)
            else:
                groups[group] = [item]
        calls = 0
        for alike in groups.values():
            for part in parts(alike, max_rows if self.batchable else 0):
                calls += self._run(part, max_rows, seconds)
        return calls

    def _run(self, part: list[Item], max_rows: int, seconds: float) -> int:
        items = self.still_wanted(part)
        if not items:
            return 0
        items, inputs = self._stack(items)
        if not items:
            return 0
        rows = sum([item.rows for item in items])
        budget = Budget.of(rows, seconds, self.clock)
        predict, signature = self._adapter.predict, self.signature

        def call(start: int, stop: int) -> Produced:
            if stop - start == rows:
                return columns.of_mapping(predict(inputs), rows, signature)
            some = {name: array[start:stop] for name, array in inputs.items()}
            return columns.of_mapping(predict(some), stop - start, signature)

        run_part(self, items, call, max_rows, budget)
        return budget.calls

    def _stack(self, items: list[Item]) -> tuple[list[Item], dict[str, columns.Array]]:
        """The arrays of those requests whose numbers are finite; the others get their error."""
        plan = items[0].decoded.head.plan
        inputs = stacking.stack([item.decoded for item in items], plan, sum([item.rows for item in items]))
        if self.special or stacking.all_finite(inputs):
            return items, inputs
        good = [item for item in items if self._is_finite(item)]
        return good, stacking.stack([item.decoded for item in good], plan, sum([item.rows for item in good]))

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
