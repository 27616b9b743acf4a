"""The contract between a worker and what it runs.

An adapter is made from a `ModelSpec`, loaded once in the worker's only thread, and then asked in one of three styles:

    TypedAdapter      arrays in, arrays out; the rows of all requests of a batch stacked
    TextAdapter       a list of strings in, a list of the same length and order out
    RequestAdapter    one decoded request in, one response out (a coroutine)

All frameworks are `TypedAdapter`s. An adapter never sees the wire.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from shoal.core.model import ModelSpec
from shoal.core.types import InferenceRequest, InferenceResponse, ItemError, Signature

Array = npt.NDArray[Any]


class Adapter(ABC):
    """What all styles share.

    Attributes:
        spec: what it was made from.
        platform: V2 platform text, such as ``onnx_onnxruntime``.
    """

    platform: str = "python"

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    @abstractmethod
    def load(self) -> None:
        """Read the artifact. Runs once, before anything else.

        Raises:
            ShoalError: with a sentence that names what is wrong and what to do.
            Exception: anything else is wrapped as a failure to load, with the model's name.
        """

    def signature(self) -> Signature:
        """Inputs and outputs as the format tells them; empty if it does not. Called after `load`."""
        return Signature()

    def accepts(self, names: Sequence[str]) -> bool:
        """Whether it takes inputs of these names, too, though its signature has others (a column per feature, say)."""
        return False

    def close(self) -> None:  # noqa: B027
        """Let go of what `load` took; memory is given back by the worker's end in any case."""


class TypedAdapter(Adapter):
    """Arrays in, arrays out.

    The first dimension of each input is the batch. An output whose first dimension is not the number of rows breaks
    the contract and fails the whole batch.
    """

    @abstractmethod
    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        """Predict for all rows at once.

        Args:
            inputs: name -> array of shape ``(rows, ...)`` in the dtype of the signature, or as sent if there is none.

        Returns:
            name -> array of shape ``(rows, ...)``. The optional key ``"errors"`` holds a `{row: ItemError}` mapping.
        """


class TextAdapter(Adapter):
    """Strings in, strings out."""

    @abstractmethod
    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        """One answer per input, in order."""


class RequestAdapter(Adapter):
    """One whole request at a time, for those who want to see it.

    Attributes:
        loop: the event loop in which `load` ran, if it needed one: `predict` must run in the same. None: any loop.
    """

    loop: asyncio.AbstractEventLoop | None = None

    @abstractmethod
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request; requests of a batch may be awaited together, in one thread."""
