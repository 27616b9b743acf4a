"""What a model makes of a request's head: which input is which, in which dtype, and what it may be stacked with.

A plan is made once per head and kept with it. Rules: an input that the model does not have, or lacks, is refused; a
model with one input takes it under any name; numbers are converted where nothing is lost but floating-point precision
(integers to floats, FP64 to FP32, wider integers if the values fit), and refused otherwise; shapes must be those of the
signature, where -1 takes any size. A model without a signature gets what was sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES
from shoal.core.types import Signature, TensorSpec
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead


@dataclass(slots=True, frozen=True)
class BoundInput:
    """One input of the model and where a request has it.

    Attributes:
        name: the model's name for it.
        index: its place in the request.
        datatype, dtype: what the adapter is given.
        trailing: shape of a row.
        checked: values must be looked at, whether they fit the dtype.
    """

    name: str
    index: int
    datatype: str
    dtype: np.dtype[Any]
    trailing: tuple[int, ...]
    checked: bool


@dataclass(slots=True, frozen=True)
class Plan:
    """How a model takes requests of one head.

    Attributes:
        group: requests of the same number may be stacked.
        rows: rows of the request.
        inputs: the model's inputs.
        checked: values of some input must be looked at.
    """

    group: int
    rows: int
    inputs: tuple[BoundInput, ...]
    checked: bool = False


class Binder:
    """Makes the plans of one model.

    Args:
        signature: what the model takes; without inputs: anything.
        accepts: whether it takes inputs of these names, too (see `Adapter.accepts`).
    """

    def __init__(self, signature: Signature, accepts: Callable[[Sequence[str]], bool]) -> None:
        self._specs = signature.inputs
        self._outputs = frozenset(each.name for each in signature.outputs)
        self._accepts = accepts
        self._numbers = itertools.count()
        self._groups: Memo[tuple[Any, ...], int] = Memo()

    def plan(self, head: RequestHead) -> Plan:
        """The plan for a head, made or remembered.

        Raises:
            InvalidInput: the request does not fit the model; `field` says where.
        """
        plan: Plan | None = head.plan
        if plan is None:
            plan = head.plan = self._bind(head)
        return plan

    def _bind(self, head: RequestHead) -> Plan:
        self._check_outputs(head)
        inputs = self._match(head)
        rows = head.inputs[0].shape[0]
        for at, each in enumerate(head.inputs):
            if each.shape[0] != rows:
                raise InvalidInput(f"all inputs must have {rows} rows like the first", field=f"inputs[{at}].shape[0]")
        key = tuple((each.name, each.datatype, each.trailing) for each in inputs)
        group = self._groups.get(key)
        if group is None:
            group = self._groups.put(key, next(self._numbers))
        return Plan(group, rows, inputs, any(each.checked for each in inputs))

    def _check_outputs(self, head: RequestHead) -> None:
        for at, each in enumerate(head.outputs or ()):
            if self._outputs and each.name not in self._outputs:
                known = ", ".join(sorted(self._outputs))
                hint = f"it has: {known}"
                raise InvalidInput(
                    f"the model has no output {each.name[:80]!r}", hint=hint, field=f"outputs[{at}].name"
                )

    def _match(self, head: RequestHead) -> tuple[BoundInput, ...]:
        if not self._specs:
            return tuple(_as_sent(each, at) for at, each in enumerate(head.inputs))
        if len(self._specs) == 1 == len(head.inputs) and not self._takes_as_named(head):
            return (_bind_input(self._specs[0], head.inputs[0], 0),)
        sent = {each.name: at for at, each in enumerate(head.inputs)}
        if sent.keys() != {each.name for each in self._specs}:
            if self._accepts(tuple(sent)):
                return tuple(_as_sent(each, at) for at, each in enumerate(head.inputs))
            self._refuse_names(head, sent)
        return tuple(_bind_input(each, head.inputs[sent[each.name]], sent[each.name]) for each in self._specs)

    def _takes_as_named(self, head: RequestHead) -> bool:
        """Whether the one input has another name than the model's, under which the adapter knows what to do with it."""
        name = head.inputs[0].name
        return bool(name) and name != self._specs[0].name and self._accepts((name,))

    def _refuse_names(self, head: RequestHead, sent: dict[str, int]) -> None:
        known = [each.name for each in self._specs]
        for at, each in enumerate(head.inputs):
            if each.name not in known:
                hint = f"it has: {', '.join(known)}"
                raise InvalidInput(f"the model has no input {each.name[:80]!r}", hint=hint, field=f"inputs[{at}].name")
        missing = ", ".join(name for name in known if name not in sent)
        raise InvalidInput(f"inputs are missing: {missing}", field="inputs")


def _as_sent(head: TensorHead, at: int) -> BoundInput:
    dtype = DTYPES[head.datatype]
    return BoundInput(head.name or "inputs", at, head.datatype, dtype, head.shape[1:], checked=False)


def _bind_input(spec: TensorSpec, head: TensorHead, at: int) -> BoundInput:
    how = conversion(head.datatype, spec.datatype)
    if how is None:
        sentence = f"the model's input {spec.name!r} is {spec.datatype}, not {head.datatype}"
        raise InvalidInput(sentence, field=f"inputs[{at}].datatype")
    if spec.shape and not _fits(head.shape, spec.shape):
        sentence = f"the model's input {spec.name!r} has shape {list(spec.shape)}, not {list(head.shape)}"
        hint = "-1 stands for any size; the first dimension is the batch"
        raise InvalidInput(sentence, hint=hint, field=f"inputs[{at}].shape")
    return BoundInput(spec.name, at, spec.datatype, DTYPES[spec.datatype], head.shape[1:], checked=how == "checked")


def _fits(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(shape) == len(wanted) and all(b in (-1, a) for a, b in zip(shape, wanted, strict=True))


def conversion(sent: str, wanted: str) -> str | None:
    """How values of one datatype become another: "direct", "checked" (look at the values), or None: not at all."""
    if sent == wanted:
        return "direct"
    if "BYTES" in (sent, wanted) or wanted == "BOOL":
        return None
    source, target = DTYPES[sent], DTYPES[wanted]
    if source.kind == "f":
        return "direct" if target.kind == "f" else None
    if target.kind == "f" or np.can_cast(source, target, "safe"):
        return "direct"
    return "checked"


def check_values(decoded: Decoded, plan: Plan) -> None:
    """Look at the values of those inputs that could lose something.

    Raises:
        InvalidInput: a number is out of the range of the model's datatype.
    """
    for each in plan.inputs:
        if not each.checked:
            continue
        limits = np.iinfo(each.dtype)
        values = np.asarray(decoded.data[each.index])
        if values.size and (values.min() < limits.min or values.max() > limits.max):
            sentence = f"a number is out of the range of {each.datatype}, which the model takes"
            raise InvalidInput(sentence, field=f"inputs[{each.index}].data")
