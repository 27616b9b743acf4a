"""A V2 REST server with three models, for commands that need one: numbers doubled, text in capitals, and failures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shoal.core.tensors import bytes_array, from_array
from shoal.core.types import InferenceRequest, InferenceResponse, Tensor
from shoal.core.wire import v2_binary, v2_json
from support.h2_server import Answer, H2Server, Request

LENGTH = b"inference-header-content-length"
NUMBERS = {"name": "x", "datatype": "FP64", "shape": [-1, 2]}
TEXT = {"name": "text", "datatype": "BYTES", "shape": [-1]}
MODELS: dict[str, dict[str, Any]] = {"double": NUMBERS, "loud": TEXT, "broken": NUMBERS}


async def v2(request: Request) -> Answer:
    """Answers like a V2 server; the model `broken` always fails, with the answer of a server that sheds."""
    path = request.head.path.decode()
    name = path.split("/")[3] if path.startswith("/v2/models/") else ""
    if name not in MODELS:
        return Answer(404, b'{"error": "there is no such model", "code": "not_found", "request_id": "r-7"}')
    if path.endswith("/infer"):
        return _infer(name, request)
    if path.endswith("/openapi.json"):
        return Answer(404, b'{"error": "no documentation"}')
    return Answer(body=json.dumps({"name": name, "platform": "test", "inputs": [MODELS[name]], "outputs": []}).encode())


def _infer(name: str, request: Request) -> Answer:
    if name == "broken":
        return Answer(503, b'{"error": "too busy", "code": "overloaded", "hint": "come back"}')
    length = request.head.headers.get(LENGTH)
    inference = _decode(request.body, length)
    answer = InferenceResponse([_output(name, inference.inputs[0])], name, "1", inference.id)
    if length is None:
        return Answer(body=v2_json.encode_response(answer))
    parts, size = v2_binary.encode_response(answer)
    return Answer(body=b"".join(bytes(part) for part in parts), headers=((LENGTH, b"%d" % size),))


def _decode(body: bytes, length: bytes | None) -> InferenceRequest:
    if length is None:
        return v2_json.decode_request(body)
    return v2_binary.Decoder().decode(body, int(length)).to_request()


def _output(name: str, tensor: Tensor) -> Tensor:
    array = tensor.as_numpy()
    if name == "double":
        return from_array("y", np.asarray(array * 2))
    return from_array("loud", bytes_array([text.upper() for text in array.ravel()]))


def v2_server() -> H2Server:
    """The server, not yet started."""
    return H2Server(v2)
