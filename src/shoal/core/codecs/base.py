"""What all codecs offer; a codec of one tensor only says `encode` and `decode`.

Used as classes, never as objects: ``StringCodec.decode_input(payload.inputs[0])``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from shoal.core.errors import InvalidInput
from shoal.core.types import InferenceRequest, InferenceResponse, Tensor

T = TypeVar("T")


class Codec(ABC, Generic[T]):
    """Between one V2 tensor and a Python value."""

    @classmethod
    @abstractmethod
    def encode(cls, name: str, payload: T) -> Tensor:
        """A value as a tensor of that name."""

    @classmethod
    @abstractmethod
    def decode(cls, tensor: Tensor) -> T:
        """The value that a tensor holds.

        Raises:
            InvalidInput: the tensor is not of this codec's kind; `field` is the tensor's name.
        """

    @classmethod
    def encode_input(cls, name: str, payload: T) -> Tensor:
        """A value as an input of a request."""
        return cls.encode(name, payload)

    @classmethod
    def decode_input(cls, request_input: Tensor) -> T:
        """The value of a request's input."""
        return cls.decode(request_input)

    @classmethod
    def encode_output(cls, name: str, payload: T) -> Tensor:
        """A value as an output of a response."""
        return cls.encode(name, payload)

    @classmethod
    def decode_output(cls, response_output: Tensor) -> T:
        """The value of a response's output."""
        return cls.decode(response_output)

    @classmethod
    def encode_request(cls, payload: T, *, name: str = "inputs") -> InferenceRequest:
        """A request with this one value."""
        return InferenceRequest([cls.encode(name, payload)])

    @classmethod
    def decode_request(cls, request: InferenceRequest) -> T:
        """The value of a request that has one input.

        Raises:
            InvalidInput: it has none, or several.
        """
        return cls.decode(only(request.inputs, "inputs"))

    @classmethod
    def encode_response(cls, model_name: str, payload: T, *, name: str = "predict", **fields: Any) -> InferenceResponse:
        """A response with this one value; `fields` are others of `InferenceResponse`, such as ``id``."""
        return InferenceResponse([cls.encode(name, payload)], model_name=model_name, **fields)

    @classmethod
    def decode_response(cls, response: InferenceResponse) -> T:
        """The value of a response that has one output.

        Raises:
            InvalidInput: it has none, or several.
        """
        return cls.decode(only(response.outputs, "outputs"))


def only(tensors: list[Tensor], where: str) -> Tensor:
    """The one tensor of a list."""
    if len(tensors) != 1:
        raise InvalidInput(f"one tensor is expected in {where}, there are {len(tensors)}", field=where)
    return tensors[0]


def elements(tensor: Tensor) -> list[bytes]:
    """The elements of a ``BYTES`` tensor in row-major order.

    Raises:
        InvalidInput: the tensor is of another datatype.
    """
    if tensor.datatype != "BYTES":
        raise InvalidInput(f"{tensor.name!r} must be BYTES, it is {tensor.datatype}", field=tensor.name)
    items: list[bytes] = tensor.as_numpy().ravel().tolist()
    return items
