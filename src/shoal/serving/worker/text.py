"""Models of strings: those of all requests in one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.core.clock import Clock
from shoal.core.errors import InvalidInput, ModelContract
from shoal.core.tensors import bytes_array
from shoal.core.types import ItemError, Signature
from shoal.serving.adapters.base import TextAdapter
from shoal.serving.worker.execution import Budget, Produced
from shoal.serving.worker.items import Item, parts
from shoal.serving.worker.styles import Style, run_part


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

        run_part(self, items, call, max_rows, budget)
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
