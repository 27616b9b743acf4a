"""V2 with binary tensors (`binary_tensor_data`): JSON, then the bytes of the tensors in order; and raw mode.

Tensors with the parameter ``binary_data_size`` have their data behind the JSON; others have it in the JSON, and both
may meet in one request. In raw mode (no JSON at all) the body is the data of the model's only input, one row.
"""

from __future__ import annotations

from typing import Any

from shoal.core.errors import InvalidInput, Unsupported
from shoal.core.tensors import to_array
from shoal.core.types import InferenceRequest, InferenceResponse, Parameters, Tensor, TensorSpec
from shoal.core.wire import json_data, json_guard, raw_data, v2_json
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead
from shoal.core.wire.raw_data import Buffer
from shoal.core.wire.shapes import SIZES
from shoal.core.wire.v2_json import TensorJson

SIZE = "binary_data_size"


class Decoder:
    """Decodes requests with binary tensors and remembers the heads of those that have no other tensors."""

    def __init__(self, *, special: bool = False) -> None:
        self._special = special
        self._memo: Memo[bytes, RequestHead] = Memo()

    def decode(self, body: Buffer, json_length: int) -> Decoded:
        """Decode a request; its tensors are views of `body`.

        Args:
            body: the JSON, then the tensors.
            json_length: bytes of JSON, more than 0.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        view = memoryview(body)
        if json_length > len(view):
            raise InvalidInput("the header says that the JSON is longer than the whole body")
        text = bytes(view[:json_length])
        head = self._memo.get(text)
        raws: list[bytes] = []
        if head is None:
            head, raws = self._learn(text)
        return Decoded(head, self._read_all(head, raws, view, json_length))

    def _learn(self, text: bytes) -> tuple[RequestHead, list[bytes]]:
        message = json_guard.parse(v2_json.decode_request_json, text)
        raws = [bytes(each.data) for each in message.inputs]
        absent = sum(not raw for raw in raws)
        v2_json.check_keys(message, text, text.count(b":") + absent - sum(raw.count(b":") for raw in raws))
        head = v2_json.head_of(message)
        for at, each in enumerate(head.inputs):
            _check_place(each, raws[at], f"inputs[{at}]")
        if absent == len(raws):
            self._memo.put(text, head)
            raws = []
        return head, raws

    def _read_all(self, head: RequestHead, raws: list[bytes], view: memoryview, position: int) -> list[Any]:
        data: list[Any] = []
        for at, each in enumerate(head.inputs):
            if raws and raws[at]:
                place = f"inputs[{at}].data"
                data.append(json_data.read(raws[at], each.datatype, each.shape, each.count, place, self._special))
                continue
            size = int((each.parameters or {})[SIZE])
            if position + size > len(view):
                raise InvalidInput("the body ends before the tensor does", field=f"inputs[{at}].parameters.{SIZE}")
            place = f"inputs[{at}].parameters.{SIZE}"
            data.append(raw_data.read(view[position : position + size], each.datatype, each.count, place))
            position += size
        if position != len(view):
            raise InvalidInput(f"the body has {len(view) - position} bytes more than its tensors", field="inputs")
        return data


def _check_place(head: TensorHead, raw: bytes, at: str) -> None:
    """Data is either in the JSON or behind it."""
    size = (head.parameters or {}).get(SIZE)
    if raw:
        if size is not None:
            raise InvalidInput(f"a tensor has either data or {SIZE}", field=f"{at}.data")
        if raw[:1] != b"[":
            raise InvalidInput("data must be an array", field=f"{at}.data")
    elif size is None:
        raise InvalidInput(f"data and {SIZE} are both missing", field=f"{at}.data")
    elif isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidInput(f"{SIZE} must be a number of bytes", field=f"{at}.parameters.{SIZE}")


def decode_raw(body: Buffer, specs: tuple[TensorSpec, ...]) -> Decoded:
    """Decode a raw-mode request: one row of the model's only input.

    Args:
        body: the bytes of the tensor; for ``BYTES`` those of its one element.
        specs: the model's inputs.

    Raises:
        Unsupported: the model has not exactly one input of a known shape, or several variable dimensions.
        InvalidInput: the length does not fit.
    """
    if len(specs) != 1:
        raise Unsupported("raw mode needs a model with one declared input", hint="send a JSON part that names inputs")
    spec = specs[0]
    if spec.datatype == "BYTES":
        return Decoded(RequestHead((TensorHead(spec.name, "BYTES", (1,), 1),), binary=True), [[bytes(body)]])
    shape = _raw_shape(spec, len(body))
    count = len(body) // SIZES[spec.datatype]
    data = raw_data.read(memoryview(body), spec.datatype, count, "body")
    return Decoded(RequestHead((TensorHead(spec.name, spec.datatype, shape, count),), binary=True), [data])


def _raw_shape(spec: TensorSpec, length: int) -> tuple[int, ...]:
    inner = spec.shape[1:]
    if not spec.shape or inner.count(-1) > 1:
        raise Unsupported("raw mode needs an input with at most one variable dimension", hint="send a JSON part")
    row = SIZES[spec.datatype]
    for size in inner:
        row *= size if size > 0 else 1
    variable, rest = divmod(length, row)
    if rest or not variable or (variable != 1 and -1 not in inner):
        raise InvalidInput(f"{length} bytes are not one row of {spec.datatype} {list(spec.shape)}", field="body")
    return (1, *(variable if size == -1 else size for size in inner))


def binary_tensor(tensor: Tensor) -> tuple[TensorJson, Buffer]:
    """A tensor as its JSON part and its bytes."""
    array = to_array(tensor.data, tensor.datatype, tensor.shape)
    data = raw_data.write_bytes(array.ravel()) if tensor.datatype == "BYTES" else raw_data.write(array)
    parameters: Parameters = {**(tensor.parameters or {}), SIZE: len(data)}
    return TensorJson(tensor.name, list(tensor.shape), tensor.datatype, parameters=parameters), data


def encode_request(request: InferenceRequest, *, binary_output: bool = True) -> tuple[bytes, int]:
    """A request with all its tensors binary.

    Args:
        request: the request.
        binary_output: ask for binary outputs.

    Returns:
        The body and its bytes of JSON (`Inference-Header-Content-Length`).

    Raises:
        InvalidInput: data that does not fit its datatype and shape.
    """
    parts = [binary_tensor(each) for each in request.inputs]
    parameters = {**(request.parameters or {}), "binary_data_output": True} if binary_output else request.parameters
    inputs = [part for part, _ in parts]
    head = json_data.encode(v2_json.request_json(request, inputs, parameters))
    return b"".join([head, *(data for _, data in parts)]), len(head)


def encode_response(
    response: InferenceResponse, binary: frozenset[str] | None = None, *, special: bool = False
) -> tuple[list[Buffer], int]:
    """A response with some of its outputs binary.

    Args:
        response: the response.
        binary: names of outputs that are to be binary; None: all.
        special: write NaN and infinities in JSON as strings.

    Returns:
        The parts of the body (JSON first, tensors as views), and the bytes of JSON.

    Raises:
        InvalidInput: an output that is not binary has no JSON form.
    """
    outputs: list[TensorJson] = []
    parts: list[Buffer] = [b""]
    for at, each in enumerate(response.outputs):
        if binary is not None and each.name not in binary:
            outputs.append(v2_json.write_tensor(each, f"outputs[{at}]", special=special))
            continue
        tensor, data = binary_tensor(each)
        outputs.append(tensor)
        parts.append(data)
    parts[0] = json_data.encode(v2_json.response_json(response, outputs))
    return parts, len(parts[0])


def decode_response(body: Buffer, json_length: int) -> InferenceResponse:
    """A response with binary outputs as nouns; arrays are views of `body`.

    Raises:
        InvalidInput: it is not such a response.
    """
    view = memoryview(body)
    message = json_guard.parse(v2_json.decode_response_json, bytes(view[:json_length]))
    outputs: list[Tensor] = []
    position = json_length
    for at, each in enumerate(message.outputs):
        size = (each.parameters or {}).get(SIZE)
        if size is None:
            outputs.append(v2_json.read_output(each, f"outputs[{at}]"))
            continue
        data = view[position : position + int(size)]
        position += int(size)
        outputs.append(_read_output(each, data, f"outputs[{at}]"))
    return v2_json.response_of(message, outputs)


def _read_output(tensor: TensorJson, data: memoryview, at: str) -> Tensor:
    count = v2_json.check_output(tensor, at)
    array = to_array(raw_data.read(data, tensor.datatype, count, at), tensor.datatype, tensor.shape)
    parameters = {name: value for name, value in (tensor.parameters or {}).items() if name != SIZE} or None
    return Tensor(tensor.name, tensor.shape, tensor.datatype, array, parameters)
