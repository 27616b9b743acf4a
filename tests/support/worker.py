"""Adapters with a known answer, and a bench to run batches through a worker's engine without a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shoal.core.call import Format
from shoal.core.clock import Clock, ManualClock
from shoal.core.errors import ShoalError
from shoal.core.ipc.messages import OK, Batch, Done, decode_error
from shoal.core.model import ModelSpec
from shoal.core.types import InferenceRequest, InferenceResponse, ItemError, Signature, TensorSpec
from shoal.serving.adapters.base import RequestAdapter, TextAdapter, TypedAdapter
from shoal.serving.worker.batch import run_batch
from shoal.serving.worker.served import Served

FOREVER = float("inf")


def spec(**settings: Any) -> ModelSpec:
    return ModelSpec(**{"name": "m", "path": "/nowhere", "runtime": "python", **settings})


class TypedModel(TypedAdapter):
    """A typed adapter made of a function; keeps the shapes it was called with."""

    def __init__(
        self,
        function: Callable[[dict[str, np.ndarray[Any, Any]]], Mapping[str, Any]],
        settings: ModelSpec | None = None,
        *,
        inputs: Sequence[TensorSpec] = (),
        outputs: Sequence[TensorSpec] = (),
    ) -> None:
        super().__init__(settings or spec())
        self._function = function
        self._signature = Signature(tuple(inputs), tuple(outputs))
        self.calls: list[dict[str, np.ndarray[Any, Any]]] = []

    def load(self) -> None:
        pass

    def signature(self) -> Signature:
        return self._signature

    def predict(self, inputs: dict[str, np.ndarray[Any, Any]]) -> Mapping[str, Any]:
        self.calls.append(inputs)
        return self._function(inputs)


class TextModel(TextAdapter):
    """A text adapter made of a function; keeps what it was called with."""

    def __init__(self, function: Callable[[list[str]], Any], settings: ModelSpec | None = None) -> None:
        super().__init__(settings or spec())
        self._function = function
        self.calls: list[list[str]] = []

    def load(self) -> None:
        pass

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        self.calls.append(inputs)
        answers: list[str | ItemError] = self._function(inputs)
        return answers


class RequestModel(RequestAdapter):
    """A request adapter made of a function."""

    def __init__(self, function: Callable[[InferenceRequest], Any], settings: ModelSpec | None = None) -> None:
        super().__init__(settings or spec())
        self._function = function

    def load(self) -> None:
        pass

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answer = self._function(payload)
        response: InferenceResponse = await answer if hasattr(answer, "__await__") else answer
        return response


Body = tuple[Format, bytes, int]


def ask(
    adapter: TypedModel | TextModel | RequestModel,
    bodies: Sequence[Body],
    *,
    max_size: int = 64,
    batchable: bool = True,
    deadlines: Sequence[float] | None = None,
    clock: Clock | None = None,
) -> tuple[list[bytes | ShoalError], Done]:
    """Run one batch; gives the body or the error of each item."""
    served = Served(adapter.spec, adapter, clock or ManualClock())
    served.style.batchable = batchable
    try:
        return ask_served(served, bodies, max_size=max_size, deadlines=deadlines, clock=clock)
    finally:
        served.close()


def ask_served(
    served: Served,
    bodies: Sequence[Body],
    *,
    max_size: int = 64,
    deadlines: Sequence[float] | None = None,
    clock: Clock | None = None,
) -> tuple[list[bytes | ShoalError], Done]:
    batch = Batch(
        7,
        1,
        max_size,
        bytes([form for form, _, _ in bodies]),
        [len(body) for _, body, _ in bodies],
        [json_length for _, _, json_length in bodies],
        list(deadlines or [FOREVER] * len(bodies)),
    )
    done, parts = run_batch(served, batch, b"".join(body for _, body, _ in bodies), clock or ManualClock())
    payload = b"".join(parts)
    return split_answers(done, payload), done


def split_answers(done: Done, payload: bytes) -> list[bytes | ShoalError]:
    """The items' outcomes out of the payload of a `Done`."""
    answers: list[bytes | ShoalError] = []
    position = 0
    for status, length in zip(done.statuses, done.lengths, strict=True):
        body = payload[position : position + length]
        answers.append(body if status == OK else decode_error(body).to_error())
        position += length
    assert position == len(payload)
    return answers
