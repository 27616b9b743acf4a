"""Open Inference Protocol V2 in JSON: requests and responses, both ways.

A request is cut at its ``"data"`` keys: what is left, the template, is small, repeats from request to request, and is
decoded, checked and remembered; arrays of numbers go straight to a typed decoder. Only requests with text tensors, or
with unusual spelling, take the general way. What is accepted is the same on both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.tensors import DTYPES, to_array
from shoal.core.types import (
    InferenceRequest,
    InferenceResponse,
    Parameters,
    ParameterValue,
    RequestedOutput,
    Tensor,
)
from shoal.core.wire import json_data, json_guard, json_template, shapes
from shoal.core.wire.heads import Decoded, Memo, RequestHead, TensorHead

_NO_DATA = msgspec.Raw(b"")


class TensorJson(msgspec.Struct, omit_defaults=True):
    """One tensor as it is written."""

    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = _NO_DATA
    parameters: dict[str, ParameterValue] | None = None


class OutputJson(msgspec.Struct, omit_defaults=True):
    """A requested output as it is written."""

    name: str
    parameters: dict[str, ParameterValue] | None = None


class RequestJson(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A request as it is written."""

    id: str | None = None
    parameters: dict[str, ParameterValue] | None = None
    inputs: list[TensorJson]
    outputs: list[OutputJson] | None = None


class ResponseJson(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A response as it is written."""

    model_name: str = ""
    model_version: str | None = None
    id: str | None = None
    parameters: dict[str, ParameterValue] | None = None
    outputs: list[TensorJson]


decode_request_json = msgspec.json.Decoder(RequestJson).decode
decode_response_json = msgspec.json.Decoder(ResponseJson).decode


class Decoder:
    """Decodes requests and remembers their heads.

    Args:
        special: take the strings "NaN", "Infinity" and "-Infinity" in floating-point data.
    """

    def __init__(self, *, special: bool = False) -> None:
        self._special = special
        self._memo: Memo[bytes, RequestHead] = Memo()
        self._start = b""
        self._end = b""
        self._last: RequestHead | None = None

    def decode(self, body: bytes) -> Decoded:
        """Decode a request that is JSON all through.

        Raises:
            InvalidInput: with the path of what is wrong.
        """
        if self._last is not None and body.startswith(self._start) and body.endswith(self._end):
            try:
                return self._guess(body, self._last)
            except InvalidInput:
                pass  # the general way tells what is wrong
        parts = json_template.without_id(body)
        if parts is not None:
            decoded = self._decode_named(*parts)
            if decoded is not None:
                return decoded
        template, spans = json_template.split(body)
        if not spans:
            return self._decode_whole(body)
        head = self._memo.get(template)
        if head is None:
            head = self._learn(template, len(spans))
            if head is None:
                return self._decode_whole(body)
        inputs = head.inputs
        if len(inputs) == 1:
            self._last = head
            self._start, self._end = json_template.around(template)
            return Decoded(head, (self._read(0, inputs[0], spans[0]),))
        return Decoded(
            head, [self._read(at, each, span) for at, (each, span) in enumerate(zip(inputs, spans, strict=True))]
        )

    def _decode_named(self, id: str, rest: bytes) -> Decoded | None:
        """A request that starts with its id, which no other may share; None if only the whole can tell."""
        try:
            decoded = self.decode(rest)
        except InvalidInput:
            return None
        return Decoded(decoded.head, decoded.data, id)

    def _guess(self, body: bytes, head: RequestHead) -> Decoded:
        """The request, if it is the one before with another array in it: then it has the same head."""
        return Decoded(head, (self._read(0, head.inputs[0], json_template.between(body, self._start, self._end)),))

    def _read(self, at: int, head: TensorHead, text: bytes | memoryview) -> Any:
        return json_data.read(text, head.datatype, head.shape, head.count, f"inputs[{at}].data", self._special)

    def _learn(self, template: bytes, spans: int) -> RequestHead | None:
        """The head of a template, or None if its data is not where it seemed to be."""
        message = json_guard.parse(decode_request_json, template)
        if [bytes(each.data) for each in message.inputs] != [b"%d" % (json_template.PLACE + at) for at in range(spans)]:
            return None
        check_keys(message, template, template.count(b":"))
        return self._memo.put(template, head_of(message))

    def _decode_whole(self, body: bytes) -> Decoded:
        message = json_guard.parse(decode_request_json, body)
        raws = [bytes(each.data) for each in message.inputs]
        check_keys(message, body, body.count(b":") - sum(raw.count(b":") for raw in raws))
        head = head_of(message)
        for at, raw in enumerate(raws):
            if raw[:1] != b"[":
                raise InvalidInput("data must be an array" if raw else "data is missing", field=f"inputs[{at}].data")
        return Decoded(head, [self._read(at, *each) for at, each in enumerate(zip(head.inputs, raws, strict=True))])


def check_keys(message: RequestJson, text: bytes, colons: int) -> None:
    """Refuse a key that is there twice, and JSON that is too deep; the usual case costs nothing (see `json_guard`)."""
    known = len(message.inputs) * 4 + 1
    known += sum(1 + len(each.parameters) for each in message.inputs if each.parameters is not None)
    known += message.id is not None
    if message.parameters is not None:
        known += 1 + len(message.parameters)
    if message.outputs is not None:
        known += 1 + sum(1 if each.parameters is None else 2 + len(each.parameters) for each in message.outputs)
    if colons != known:
        json_guard.scan(text)


def head_of(message: RequestJson) -> RequestHead:
    """The checked head of a request.

    Raises:
        InvalidInput: no input, a name twice, an unknown datatype or an impossible shape.
    """
    if not message.inputs:
        raise InvalidInput("a request needs at least one input", field="inputs")
    inputs = tuple(_tensor_head(each, at) for at, each in enumerate(message.inputs))
    check_names([each.name for each in inputs], "inputs")
    outputs = None
    if message.outputs:
        check_names([each.name for each in message.outputs], "outputs")
        outputs = tuple(RequestedOutput(each.name, each.parameters) for each in message.outputs)
    binary = bool((message.parameters or {}).get("binary_data_output", False))
    return RequestHead(inputs, message.id, message.parameters, outputs, binary=binary)


def _tensor_head(tensor: TensorJson, at: int) -> TensorHead:
    shapes.check_datatype(tensor.datatype, f"inputs[{at}].datatype")
    count = shapes.count_elements(tensor.shape, f"inputs[{at}].shape")
    return TensorHead(tensor.name, tensor.datatype, tuple(tensor.shape), count, tensor.parameters)


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse a name that is there twice."""
    if len(names) > 1 and len(set(names)) < len(names):
        at = next(at for at, name in enumerate(names) if name in names[:at])
        raise InvalidInput(f"the name {names[at][:80]!r} is there twice", field=f"{where}[{at}].name")


def decode_request(body: bytes, *, special: bool = False) -> InferenceRequest:
    """One request as nouns; see `Decoder`."""
    return Decoder(special=special).decode(body).to_request()


def write_data(tensor: Tensor, at: str, *, special: bool = False) -> msgspec.Raw:
    """A tensor's data as a flat JSON array.

    Args:
        special: write NaN and infinities as strings, rather than refuse them.

    Raises:
        InvalidInput: the data does not fit its datatype and shape, has no JSON form, or is not finite.
    """
    if tensor.datatype == "FP16":
        raise InvalidInput("FP16 has no JSON form", hint="send it as binary data, or as FP32", field=at)
    values = to_array(tensor.data, tensor.datatype, tensor.shape).ravel().tolist()
    if tensor.datatype == "BYTES":
        return msgspec.Raw(json_data.write(json_data.texts(values, at)))
    text = json_data.write(values)
    if b"u" in text and tensor.datatype in ("FP32", "FP64"):
        if not special:
            raise InvalidInput("NaN and infinities have no JSON form", field=at)
        text = json_data.write_special(values)
    return msgspec.Raw(text)


def write_tensor(tensor: Tensor, at: str, *, special: bool = False) -> TensorJson:
    """A tensor with its data in JSON."""
    data = write_data(tensor, f"{at}.data", special=special)
    return TensorJson(tensor.name, list(tensor.shape), tensor.datatype, data, tensor.parameters)


def encode_request(request: InferenceRequest, *, special: bool = False) -> bytes:
    """A request as JSON all through.

    Raises:
        InvalidInput: a tensor has no JSON form (FP16, not finite, not UTF-8), or its data does not fit.
    """
    inputs = [write_tensor(each, f"inputs[{at}]", special=special) for at, each in enumerate(request.inputs)]
    return json_data.encode(request_json(request, inputs, request.parameters))


def request_json(request: InferenceRequest, inputs: list[TensorJson], parameters: Parameters | None) -> RequestJson:
    """A request whose tensors and parameters are ready to be written."""
    outputs = None
    if request.outputs is not None:
        outputs = [OutputJson(each.name, each.parameters) for each in request.outputs]
    return RequestJson(id=request.id, parameters=parameters, inputs=inputs, outputs=outputs)


def encode_response(response: InferenceResponse, *, special: bool = False) -> bytes:
    """A response as JSON all through.

    Raises:
        InvalidInput: an output has no JSON form, or its data does not fit.
    """
    outputs = [write_tensor(each, f"outputs[{at}]", special=special) for at, each in enumerate(response.outputs)]
    return json_data.encode(response_json(response, outputs))


def response_json(response: InferenceResponse, outputs: list[TensorJson]) -> ResponseJson:
    """A response whose tensors are ready to be written."""
    return ResponseJson(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id,
        parameters=response.parameters,
        outputs=outputs,
    )


def decode_response(body: bytes) -> InferenceResponse:
    """A response as nouns; "NaN", "Infinity" and "-Infinity" in floating-point data are taken for what they say.

    Raises:
        InvalidInput: it is not a V2 response.
    """
    message = json_guard.parse(decode_response_json, body)
    outputs = [read_output(each, f"outputs[{at}]") for at, each in enumerate(message.outputs)]
    return response_of(message, outputs)


def read_output(tensor: TensorJson, at: str) -> Tensor:
    """An output with its data in JSON."""
    count = check_output(tensor, at)
    data = json_data.read(bytes(tensor.data), tensor.datatype, tensor.shape, count, f"{at}.data", True)
    array = to_array(data, tensor.datatype, tensor.shape)
    return Tensor(tensor.name, tensor.shape, tensor.datatype, array, tensor.parameters)


def check_output(tensor: TensorJson, at: str) -> int:
    """The number of elements of an output; empty dimensions are allowed there."""
    if tensor.datatype not in DTYPES:
        raise InvalidInput(f"unknown datatype {tensor.datatype[:40]!r}", field=f"{at}.datatype")
    return shapes.count_elements(tensor.shape, f"{at}.shape", least=0)


def response_of(message: ResponseJson, outputs: list[Tensor]) -> InferenceResponse:
    """The nouns of a response whose outputs are read."""
    parameters: Parameters | None = message.parameters
    return InferenceResponse(outputs, message.model_name, message.model_version, message.id, parameters)
