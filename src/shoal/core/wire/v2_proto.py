"""Open Inference Protocol V2 in protobuf: requests and responses, both ways.

Messages are read by upb, but raw tensors never go through it: protobuf messages may be put together by putting their
bytes one after the other, so `cut` takes the raw contents out as views and leaves a small head, which repeats from
request to request and is remembered. Answers are made the same way: a remembered head, then the raw bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES, to_array
from shoal.core.types import InferenceRequest, InferenceResponse, Parameters, RequestedOutput, Tensor
from shoal.core.wire import raw_data, shapes
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead
from shoal.core.wire.protobuf import cut, raw_records, record
from shoal.core.wire.raw_data import Buffer
from shoal.core.wire.v2_json import check_names

Array = npt.NDArray[Any]

RAW_INPUT_TAG = 7 << 3 | 2
RAW_OUTPUT_TAG = 6 << 3 | 2
_ID_TAG = 3 << 3 | 2

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


class Decoder:
    """Decodes requests and remembers the heads of those with raw tensors."""

    def __init__(self) -> None:
        self._memo: Memo[bytes, RequestHead] = Memo()
        self._record = b"\x00"
        self._length = 0

    def decode(self, body: Buffer) -> Decoded:
        """Decode a `ModelInferRequest`; raw tensors are views of `body`.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        guess = self._guess(body)
        if guess is not None:
            return guess
        text, raws = cut(body, RAW_INPUT_TAG)
        if not raws:
            return _decode_contents(text)
        head = self._memo.get(text)
        if head is None:
            head = self._memo.put(text, _raw_head(_parse(text)))
        if len(raws) != len(head.inputs):
            raise InvalidInput(
                f"there are {len(raws)} raw contents for {len(head.inputs)} inputs", field="raw_input_contents"
            )
        self._length = len(raws[-1])
        self._record = record(RAW_INPUT_TAG, self._length)
        return Decoded(
            head, [_read_raw(raw, each, at) for at, (raw, each) in enumerate(zip(raws, head.inputs, strict=True))]
        )

    def _guess(self, body: Buffer) -> Decoded | None:
        """The request, if it is like the one before: a known head, then one raw tensor of the same length."""
        start = len(body) - self._length
        border = start - len(self._record)
        if border <= 0 or body[border:start] != self._record:
            return None
        head = self._memo.get(bytes(body[:border]))
        if head is None or len(head.inputs) != 1:
            return None
        return Decoded(head, (_read_raw(memoryview(body)[start:], head.inputs[0], 0),))


def _parse(body: bytes) -> Any:
    try:
        return pb.ModelInferRequest.FromString(body)
    except DecodeError as error:
        raise InvalidInput("not a valid ModelInferRequest") from error


def _read_raw(raw: memoryview, head: TensorHead, at: int) -> Any:
    return raw_data.read(raw, head.datatype, head.count, f"raw_input_contents[{at}]")


def _raw_head(message: Any) -> RequestHead:
    for at, each in enumerate(message.inputs):
        if each.HasField("contents") and each.contents.ListFields():
            raise InvalidInput("a request with raw contents has no other contents", field=f"inputs[{at}].contents")
    return _head(message, binary=True)


def _head(message: Any, *, binary: bool) -> RequestHead:
    if not message.inputs:
        raise InvalidInput("a request needs at least one input", field="inputs")
    inputs = tuple(_tensor_head(each, at) for at, each in enumerate(message.inputs))
    check_names([each.name for each in inputs], "inputs")
    check_names([each.name for each in message.outputs], "outputs")
    outputs = tuple(RequestedOutput(each.name, _parameters(each.parameters)) for each in message.outputs) or None
    return RequestHead(
        inputs,
        message.id or None,
        _parameters(message.parameters),
        outputs,
        message.model_name,
        message.model_version or None,
        binary=binary,
    )


def _tensor_head(tensor: Any, at: int) -> TensorHead:
    shapes.check_datatype(tensor.datatype, f"inputs[{at}].datatype")
    shape = tuple(tensor.shape)
    count = shapes.count_elements(shape, f"inputs[{at}].shape")
    return TensorHead(tensor.name, tensor.datatype, shape, count, _parameters(tensor.parameters))


def _parameters(message: Any) -> Parameters | None:
    if not message:
        return None
    values: Parameters = {}
    for name, value in message.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidInput("a parameter without a value", field=f"parameters.{name[:80]}")
        values[name] = getattr(value, kind)
    return values


def _decode_contents(body: bytes) -> Decoded:
    message = _parse(body)
    head = _head(message, binary=False)
    data = [
        _read_contents(tensor.contents, each.datatype, each.shape, each.count, f"inputs[{at}].contents")
        for at, (tensor, each) in enumerate(zip(message.inputs, head.inputs, strict=True))
    ]
    return Decoded(head, data)


def _read_contents(contents: Any, datatype: str, shape: Sequence[int], count: int, at: str) -> Any:
    """Typed contents as a flat list; integers are checked against their datatype."""
    wanted = _CONTENTS.get(datatype)
    if wanted is None:
        raise InvalidInput(f"{datatype} has no typed contents", hint="send raw contents", field=at)
    for descriptor, _ in contents.ListFields():
        if descriptor.name != wanted:
            raise InvalidInput(f"{datatype} is sent as {wanted}", field=f"{at}.{descriptor.name}")
    values = getattr(contents, wanted)
    if len(values) != count:
        raise shapes.mismatch(len(values), shape, f"{at}.{wanted}")
    dtype = DTYPES[datatype]
    if dtype.kind in "iu" and dtype.itemsize < 4 and count:
        limits = np.iinfo(dtype)
        if min(values) < limits.min or max(values) > limits.max:
            raise InvalidInput(f"an integer is out of the range of {datatype}", field=f"{at}.{wanted}")
    return list(values)


def decode_request(body: Buffer) -> InferenceRequest:
    """One request as nouns; see `Decoder`."""
    return Decoder().decode(body).to_request()


def _set_parameters(target: Any, parameters: Parameters | None) -> None:
    for name, value in (parameters or {}).items():
        if isinstance(value, bool):
            target[name].bool_param = value
        elif isinstance(value, str):
            target[name].string_param = value
        elif isinstance(value, float):
            target[name].double_param = value
        elif value >= 1 << 63:
            target[name].uint64_param = value
        else:
            target[name].int64_param = value


def _set_tensor(target: Any, tensor: Tensor, *, raw: bool) -> Buffer | None:
    """Fill in a tensor; gives its raw contents if they are to stand apart."""
    target.name, target.datatype = tensor.name, tensor.datatype
    target.shape.extend(int(size) for size in tensor.shape)
    _set_parameters(target.parameters, tensor.parameters)
    array = to_array(tensor.data, tensor.datatype, tensor.shape)
    if raw:
        return raw_data.write_bytes(array.ravel()) if tensor.datatype == "BYTES" else raw_data.write(array)
    name = _CONTENTS.get(tensor.datatype)
    if name is None:
        raise InvalidInput(f"{tensor.datatype} has no typed contents", hint="ask for raw contents")
    getattr(target.contents, name).extend(array.ravel().tolist())
    return None


def encode_request(request: InferenceRequest, *, raw: bool = True) -> bytes:
    """A request as a `ModelInferRequest`.

    Args:
        request: the request, model name and version included.
        raw: tensors as raw contents; else typed.

    Raises:
        InvalidInput: data that does not fit its datatype and shape, or FP16 that is not raw.
    """
    message = pb.ModelInferRequest(
        model_name=request.model_name, model_version=request.model_version or "", id=request.id or ""
    )
    _set_parameters(message.parameters, request.parameters)
    for each in request.outputs or ():
        _set_parameters(message.outputs.add(name=each.name).parameters, each.parameters)
    raws = [_set_tensor(message.inputs.add(), each, raw=raw) for each in request.inputs]
    return b"".join([message.SerializeToString(), *raw_records(raws, RAW_INPUT_TAG)])


def encode_response(response: InferenceResponse, *, raw: bool = True) -> list[Buffer]:
    """A response as the parts of a `ModelInferResponse`; raw tensors are views.

    Raises:
        InvalidInput: an output does not fit its datatype and shape, or is FP16 and not raw.
    """
    message = pb.ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version or "", id=response.id or ""
    )
    _set_parameters(message.parameters, response.parameters)
    raws = [_set_tensor(message.outputs.add(), each, raw=raw) for each in response.outputs]
    return [message.SerializeToString(), *raw_records(raws, RAW_OUTPUT_TAG)]


def id_record(id: str) -> bytes:
    """The `id` of a response as a record of its own."""
    text = id.encode()
    return record(_ID_TAG, len(text)) + text


def decode_response(body: Buffer) -> InferenceResponse:
    """A response as nouns; raw arrays are views of `body`.

    Raises:
        InvalidInput: it is not a `ModelInferResponse`.
    """
    text, raws = cut(body, RAW_OUTPUT_TAG)
    try:
        message = pb.ModelInferResponse.FromString(text)
    except DecodeError as error:
        raise InvalidInput("not a valid ModelInferResponse") from error
    if raws and len(raws) != len(message.outputs):
        raise InvalidInput("raw contents and outputs are not as many", field="raw_output_contents")
    outputs = [_output(each, raws[at] if raws else None, at) for at, each in enumerate(message.outputs)]
    name, version = message.model_name, message.model_version or None
    return InferenceResponse(outputs, name, version, message.id or None, _parameters(message.parameters))


def _output(tensor: Any, raw: memoryview | None, at: int) -> Tensor:
    shape, place = list(tensor.shape), f"outputs[{at}]"
    if tensor.datatype not in DTYPES:
        raise InvalidInput(f"unknown datatype {tensor.datatype[:40]!r}", field=f"{place}.datatype")
    count = shapes.count_elements(shape, f"{place}.shape", least=0)
    if raw is None:
        data = _read_contents(tensor.contents, tensor.datatype, shape, count, f"{place}.contents")
    else:
        data = raw_data.read(raw, tensor.datatype, count, f"raw_output_contents[{at}]")
    array = to_array(data, tensor.datatype, shape)
    return Tensor(tensor.name, shape, tensor.datatype, array, _parameters(tensor.parameters))
