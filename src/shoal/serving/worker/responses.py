"""Responses that an author has made by hand: checked, completed, and cut down to what was asked for."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from shoal.core.errors import InvalidInput, ModelContract
from shoal.core.tensors import DTYPES, bytes_array, to_array
from shoal.core.types import InferenceResponse, Tensor
from shoal.core.wire.heads import RequestHead

logger = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()
_MOST_WARNINGS = 1000


def complete(response: object, head: RequestHead, id: str | None) -> InferenceResponse:
    """An author's response with arrays for data and only the outputs that the request names.

    Data that does not fit its declared number type (text or objects declared FP32, say) is sent as ``BYTES``, with one
    warning per output.

    Raises:
        ModelContract: it is no response, or data does not fit its shape.
        InvalidInput: the request names an output that is not there.
    """
    if not isinstance(response, InferenceResponse):
        raise ModelContract(f"predict must return an InferenceResponse, it returned {type(response).__name__}")
    outputs = [_mended(each) for each in response.outputs]
    if head.outputs is not None:
        outputs = [_find(outputs, each.name, at) for at, each in enumerate(head.outputs)]
    return InferenceResponse(outputs, response.model_name, response.model_version, id, response.parameters)


def _find(outputs: list[Tensor], name: str, at: int) -> Tensor:
    for each in outputs:
        if each.name == name:
            return each
    hint = f"it has: {', '.join(each.name for each in outputs)}"
    raise InvalidInput(f"the model has no output {name[:80]!r}", hint=hint, field=f"outputs[{at}].name")


def _mended(output: Tensor) -> Tensor:
    if output.datatype not in DTYPES:
        raise ModelContract(f"output {output.name!r} has the unknown datatype {output.datatype!r}")
    try:
        array = to_array(output.data, output.datatype, output.shape)
        return Tensor(output.name, list(array.shape), output.datatype, array, output.parameters)
    except InvalidInput as error:
        if output.datatype == "BYTES" or isinstance(output.data, np.ndarray):
            raise ModelContract(f"output {output.name!r}: {error.message}") from error
    _warn(output)
    items = _elements(output.data, output.shape)
    return Tensor(output.name, [len(items)], "BYTES", bytes_array(items), output.parameters)


def _elements(data: Any, shape: Any) -> list[Any]:
    """One element per entry; a list in a list of one, as some write it, is opened."""
    items = list(data) if isinstance(data, (list, tuple)) else [data]
    if len(items) == 1 and isinstance(items[0], (list, tuple)) and list(shape) == [len(items[0])]:
        return list(items[0])
    return items


def _warn(output: Tensor) -> None:
    key = (output.name, output.datatype)
    if key not in _warned and len(_warned) < _MOST_WARNINGS:
        _warned.add(key)
        fields = {"output": output.name, "datatype": output.datatype}
        logger.warning("output does not fit its datatype and is sent as BYTES", extra=fields)
