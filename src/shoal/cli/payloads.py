"""What to send: the user's file or text as V2 requests, cut into chunks of rows; or a request made up from metadata.

JSON may be a whole V2 request, the body of `predict_all` (``{"inputs": [str, ...]}``), a V1 request (``{"instances":
[...]}``), rows as lists, rows as objects, or a mapping from input name to values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from shoal.cli.tables import from_records, read_table
from shoal.client.inputs import columns_to_tensors, to_tensors
from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES, bytes_array, from_array
from shoal.core.types import Parameters, Signature, Tensor, TensorSpec

Array = npt.NDArray[Any]

_HINT = 'give rows ([[5.1, 3.5]]), objects ([{"a": 1}]), texts (["hello"]) or a V2 request ({"inputs": [...]})'


@dataclass(frozen=True, slots=True)
class Payload:
    """One request before it is encoded: tensors, and what a V2 request file may say besides."""

    tensors: list[Tensor]
    parameters: Parameters | None = None
    outputs: list[str] | None = None

    @property
    def rows(self) -> int:
        """The batch size; 1 for a request whose tensors do not share their first dimension."""
        sizes = {int(tensor.shape[0]) if tensor.shape else 1 for tensor in self.tensors}
        return sizes.pop() if len(sizes) == 1 else 1

    def chunks(self, rows: int) -> Iterator[Payload]:
        """The same in pieces of at most `rows` rows, in order; in one piece if its rows cannot be told apart."""
        if self.rows <= rows or any(not tensor.shape for tensor in self.tensors):
            yield self
            return
        for start in range(0, self.rows, rows):
            parts = [_slice(each, start, start + rows) for each in self.tensors]
            yield Payload(parts, self.parameters, self.outputs)


def _slice(tensor: Tensor, start: int, stop: int) -> Tensor:
    part = tensor.as_numpy()[start:stop]
    return Tensor(tensor.name, list(part.shape), tensor.datatype, part, tensor.parameters)


def parse(content: bytes, format: str, signature: Signature) -> Payload:
    """The payload in a file.

    Args:
        content: the file's bytes.
        format: see `tables.format_of`.
        signature: of the model, for names and dtypes.

    Raises:
        InvalidInput: the file cannot be read as that format, or does not fit the model.
    """
    if format != "json":
        return Payload(columns_to_tensors(read_table(content, format), signature))
    try:
        data = json.loads(content)
    except ValueError as error:
        raise InvalidInput(f"the input is not JSON: {error}", hint=_HINT) from error
    return from_json(data, signature)


def from_json(data: Any, signature: Signature) -> Payload:
    """The payload in parsed JSON; see the module for what is understood."""
    if isinstance(data, dict) and isinstance(data.get("inputs"), list):
        return _v2(data) if _is_v2(data["inputs"]) else from_json(data["inputs"], signature)
    if isinstance(data, dict) and isinstance(data.get("instances"), list):
        return from_json(data["instances"], signature)
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return Payload(columns_to_tensors(from_records(data), signature))
    if isinstance(data, dict | list) and data:
        return Payload(to_tensors(data, signature))
    raise InvalidInput("the input holds no rows", hint=_HINT)


def made_up(signature: Signature, rows: int = 1, seed: int = 0) -> Payload:
    """A request of plausible values for a model: small numbers, short texts; every variable dimension is 1.

    Raises:
        InvalidInput: the model does not tell its inputs.
    """
    if not signature.inputs:
        raise InvalidInput("the model does not tell its inputs", hint="give a request with --input or --data")
    rng = Random(seed)  # noqa: S311
    return Payload([from_array(spec.name, _values(spec, rows, rng)) for spec in signature.inputs])


def _is_v2(inputs: list[Any]) -> bool:
    return bool(inputs) and all(isinstance(each, dict) and "datatype" in each and "data" in each for each in inputs)


def _v2(data: dict[str, Any]) -> Payload:
    tensors = []
    for number, each in enumerate(data["inputs"]):
        if not isinstance(each.get("name"), str) or not isinstance(each.get("shape"), list):
            raise InvalidInput(f"inputs[{number}] needs a name and a shape", field=f"inputs[{number}]")
        tensors.append(Tensor(each["name"], each["shape"], str(each["datatype"]), each["data"], each.get("parameters")))
    outputs = [str(each["name"]) for each in data.get("outputs") or () if isinstance(each, dict) and "name" in each]
    return Payload(tensors, data.get("parameters"), outputs or None)


def _values(spec: TensorSpec, rows: int, rng: Random) -> Array:
    rest = [size if size > 0 else 1 for size in spec.shape[1:]]
    shape = [rows if not spec.shape or spec.shape[0] < 1 else spec.shape[0], *rest]
    count = int(np.prod(shape))
    dtype = DTYPES.get(spec.datatype, DTYPES["FP32"])
    if dtype.kind == "O":
        return bytes_array([b"the quick brown fox"] * count, shape)
    if dtype.kind == "f":
        return np.asarray([round(rng.random(), 3) for _ in range(count)], dtype=dtype).reshape(shape)
    return np.asarray([rng.randrange(2) for _ in range(count)], dtype=dtype).reshape(shape)
