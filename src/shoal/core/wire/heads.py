"""A request cut in two: what it says of its tensors (the head), and their data.

Clients repeat themselves: thousands of requests differ in their numbers only. Decoders keep the heads they have
checked, so that a repeated head costs one look-up; what a model makes of a head is kept with it (`RequestHead.plan`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from shoal.core.tensors import to_array
from shoal.core.types import InferenceRequest, Parameters, RequestedOutput, Tensor

LONGEST_KEY = 4096
"""Bytes of a head that is worth remembering."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class TensorHead:
    """A tensor without its data; `count` is its number of elements.

    An empty `name` stands for the model's only input, an empty `datatype` for what the model wants: V1 says neither.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    count: int
    parameters: Parameters | None = None


@dataclass(slots=True)
class RequestHead:
    """A request without its data.

    Attributes:
        binary: answer with binary tensors (V2 JSON) or raw contents (V2 protobuf), unless an output says otherwise.
        columns: a V1 request in columns.
        plan: what a model has made of this head; belongs to the worker.
    """

    inputs: tuple[TensorHead, ...]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: tuple[RequestedOutput, ...] | None = None
    model_name: str = ""
    model_version: str | None = None
    binary: bool = False
    columns: bool = False
    plan: Any = field(default=None, repr=False)

    def is_binary(self, output: str) -> bool:
        """Whether the caller wants this output as raw bytes."""
        for each in self.outputs or ():
            if each.name == output and each.parameters and "binary_data" in each.parameters:
                return bool(each.parameters["binary_data"])
        return self.binary


class Decoded:
    """A decoded request.

    Attributes:
        head: shared with other requests of the same head; never changed.
        data: per input a flat list of numbers, bools, `str` or `bytes`, or an array with as many elements.
        id: of the request; that of the head unless requests with other ids share it.
    """

    __slots__ = ("data", "head", "id")

    def __init__(self, head: RequestHead, data: Sequence[Any], id: str | None = None) -> None:
        self.head = head
        self.data = data
        self.id = head.id if id is None else id

    def to_request(self) -> InferenceRequest:
        """The request as nouns, its tensors as arrays of their shape."""
        head = self.head
        tensors = [
            Tensor(
                each.name, list(each.shape), each.datatype, to_array(data, each.datatype, each.shape), each.parameters
            )
            for each, data in zip(head.inputs, self.data, strict=True)
        ]
        outputs = None if head.outputs is None else list(head.outputs)
        return InferenceRequest(tensors, self.id, head.parameters, outputs, head.model_name, head.model_version)


class Memo(Generic[K, V]):
    """A small map that forgets everything when it is full: bounded, and no bookkeeping on a hit."""

    __slots__ = ("_map", "_size", "get")

    def __init__(self, size: int = 256) -> None:
        self._size = size
        self._map: dict[K, V] = {}
        self.get = self._map.get

    def put(self, key: K, value: V) -> V:
        """Keep a value, unless its key is long; gives it back."""
        if isinstance(key, bytes) and len(key) > LONGEST_KEY:
            return value
        if len(self._map) >= self._size:
            self._map.clear()
        self._map[key] = value
        return value
