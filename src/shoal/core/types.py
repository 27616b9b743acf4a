"""The nouns of inference: tensors, requests, responses, signatures.

They follow the Open Inference Protocol V2. `Tensor.data` is a NumPy array of the tensor's shape (for ``BYTES`` an
object array of `bytes`); authors of low-code models may also put plain (nested) lists there, as they read best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ParameterValue = str | int | float | bool
Parameters = dict[str, ParameterValue]

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
)  # fmt: skip


class TensorSpec(msgspec.Struct, frozen=True):
    """What a tensor of a model looks like: name, V2 datatype and shape (-1 where a dimension varies)."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(msgspec.Struct, frozen=True):
    """The inputs and outputs of a model version; empty where the format does not tell."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(slots=True)
class Tensor:
    """A named tensor.

    Attributes:
        name: its name in the request or response.
        shape: its dimensions; the first is the batch.
        datatype: one of `DATATYPES`.
        data: a NumPy array, or (nested) lists in row-major order.
        parameters: V2 parameters of this tensor.
    """

    name: str
    shape: list[int] | tuple[int, ...]
    datatype: str
    data: Any
    parameters: Parameters | None = None

    def as_numpy(self) -> npt.NDArray[Any]:
        """The data as an array of the declared shape and dtype (object array of `bytes` for ``BYTES``)."""
        from shoal.core.tensors import to_array

        return to_array(self.data, self.datatype, self.shape)


RequestInput = Tensor
ResponseOutput = Tensor


@dataclass(slots=True)
class RequestedOutput:
    """An output that the caller asks for by name."""

    name: str
    parameters: Parameters | None = None


@dataclass(slots=True)
class InferenceRequest:
    """One decoded V2 request."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[RequestedOutput] | None = None
    model_name: str = ""
    model_version: str | None = None


@dataclass(slots=True)
class InferenceResponse:
    """One V2 response before it is encoded."""

    outputs: list[Tensor]
    model_name: str = ""
    model_version: str | None = None
    id: str | None = None
    parameters: Parameters | None = None


@dataclass(slots=True)
class ItemError:
    """A first-class answer that says: this one item failed; its neighbours did not.

    Return it from `predict_all` in the place of the item's answer, or put it under ``errors`` of a typed predict.
    """

    message: str
    hint: str = ""


Arrays = Mapping[str, "np.ndarray[Any, Any]"]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What V2 metadata says about a served model version."""

    name: str
    versions: tuple[str, ...]
    platform: str
    signature: Signature = field(default_factory=Signature)
