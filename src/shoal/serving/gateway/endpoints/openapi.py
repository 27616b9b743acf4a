"""OpenAPI 3.1 documents of the models: real tensor names, datatypes and shapes, and an example that works.

Only what OpenAPI 3.0 and 3.1 write alike is used, so that older viewers can show the documents too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from shoal.core.ports import ModelHandle
from shoal.core.types import TensorSpec
from shoal.core.version import __version__

Json = dict[str, Any]

VERSION = "3.1.0"
MAX_MODELS = 200
"""Models that the document of the whole node shows; each has a document of its own."""
NODE = "(node)"
"""The tag of what is no model's; no model can be called so."""
MAX_EXAMPLE = 4096
"""Elements of an example that is made up."""
_SECURITY: Json = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of a trusted issuer."}
}
MAX_EXAMPLE = 64 * 1024
"""Characters of an example that is worth showing; an image as JSON is not."""

_ITEMS: dict[str, Json] = {
    "BOOL": {"type": "boolean"},
    "BYTES": {"type": "string"},
    "FP16": {"type": "number"},
    "FP32": {"type": "number", "format": "float"},
    "FP64": {"type": "number", "format": "double"},
}


def node(handles: Iterable[ModelHandle], *, secured: bool = False) -> Json:
    """The document of all models at their default version; `secured` if a key is needed."""
    shown = list(handles)[:MAX_MODELS]
    all_paths: Json = dict(_SERVER_PATHS)
    for handle in shown:
        all_paths.update(paths(handle, f"/v2/models/{handle.spec.name}"))
    return _document(
        "Shoal", "All models of this node.", all_paths, [_tag(handle) for handle in shown], secured=secured
    )


def model(handle: ModelHandle, *, versioned: bool, secured: bool = False) -> Json:
    """The document of one model.

    Args:
        handle: the version.
        versioned: whether its paths name the version.
        secured: whether a key is needed.
    """
    spec = handle.spec
    base = f"/v2/models/{spec.name}" + (f"/versions/{spec.version}" if versioned else "")
    text = spec.description or f"{spec.runtime} model."
    return _document(spec.name, text, paths(handle, base), [_tag(handle)], secured=secured)


def _document(title: str, text: str, all_paths: Json, tags: list[Json], *, secured: bool) -> Json:
    return {
        "openapi": VERSION,
        "info": {"title": title, "version": __version__, "description": text},
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": all_paths,
        "components": {"schemas": _SCHEMAS, **({"securitySchemes": _SECURITY} if secured else {})},
        **({"security": [{"key": []}]} if secured else {}),
    }


def _tag(handle: ModelHandle) -> Json:
    return {"name": handle.spec.name, "description": handle.spec.description or handle.platform}


def paths(handle: ModelHandle, base: str) -> Json:
    """The paths of one model below `base`."""
    name = handle.spec.name
    found: Json = {f"{base}/infer": {"post": _infer(handle)}}
    if is_text(handle):
        found[f"{base}/predict_all"] = {"post": _predict_all(name)}
    found[base] = {"get": _get(name, "metadata", "Names, datatypes and shapes of the model's tensors")}
    found[f"{base}/ready"] = {"get": _get(name, "ready", "Whether the model can answer", also=("503",))}
    found[f"{base}/stats"] = {"get": _get(name, "stats", "Counts and times of the model's requests")}
    found[f"{base}/config"] = {"get": _get(name, "config", "How the model is configured")}
    return found


def is_text(handle: ModelHandle) -> bool:
    """Whether the plain string route makes sense: one text tensor in, text out."""
    inputs, outputs = handle.signature.inputs, handle.signature.outputs
    return len(inputs) == 1 and bool(outputs) and all(spec.datatype == "BYTES" for spec in (*inputs, *outputs))


def example(handle: ModelHandle) -> Json | None:
    """A request to try: the one that worked at load, or zeros in the shapes of the signature."""
    if 0 < len(handle.example) <= MAX_EXAMPLE:
        try:
            known: Json = msgspec.json.decode(handle.example, type=dict)
        except msgspec.DecodeError:
            known = {}
        if known:
            return known
    inputs = handle.signature.inputs
    if not inputs or any(_elements(spec) > MAX_EXAMPLE for spec in inputs):
        return None
    return {"inputs": [_made_up(spec) for spec in inputs]}


def _infer(handle: ModelHandle) -> Json:
    signature = handle.signature
    body = {"schema": _infer_request(signature.inputs)}
    if (shown := example(handle)) is not None:
        body["example"] = shown
    answer = _object(
        {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": _any_tensor(signature.outputs, named=False)},
        },
        ("model_name", "outputs"),
    )
    return _operation(handle.spec.name, "infer", "Predict", body=body, answer=answer)


def _infer_request(inputs: tuple[TensorSpec, ...]) -> Json:
    tensors: Json = {
        "type": "array",
        "minItems": max(1, len(inputs)),
        "items": _any_tensor(inputs, named=len(inputs) > 1),
    }
    properties = {
        "id": {"type": "string", "description": "comes back in the answer"},
        "parameters": {"$ref": "#/components/schemas/Parameters"},
        "inputs": tensors,
        "outputs": {"type": "array", "items": _object({"name": {"type": "string"}}, ("name",))},
    }
    return _object(properties, ("inputs",))


def _any_tensor(specs: tuple[TensorSpec, ...], *, named: bool) -> Json:
    schemas = [_tensor(spec, named=named) for spec in specs]
    if not schemas:
        return {"$ref": "#/components/schemas/Tensor"}
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _tensor(spec: TensorSpec, *, named: bool) -> Json:
    name: Json = {"type": "string", "example": spec.name, **({"enum": [spec.name]} if named else {})}
    shape: Json = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": len(spec.shape),
        "maxItems": len(spec.shape),
        "description": f"{list(spec.shape)}; -1 is any number",
        "example": _sizes(spec),
    }
    data: Json = {
        "type": "array",
        "description": "row-major, nested or flat",
        "items": {"anyOf": [_item(spec.datatype), {"type": "array", "items": {}}]},
    }
    datatype: Json = {"type": "string", "example": spec.datatype}
    properties = {"name": name, "shape": shape, "datatype": datatype, "parameters": {"type": "object"}, "data": data}
    return {**_object(properties, ("name", "shape", "datatype")), "title": spec.name}


def _item(datatype: str) -> Json:
    return _ITEMS.get(datatype, {"type": "integer"})


def _sizes(spec: TensorSpec) -> list[int]:
    return [1 if size < 0 else size for size in spec.shape]


def _elements(spec: TensorSpec) -> int:
    return math.prod(_sizes(spec))


def _made_up(spec: TensorSpec) -> Json:
    value: object = {"BYTES": "text", "BOOL": False}.get(spec.datatype, 0.0 if spec.datatype.startswith("FP") else 0)
    data = [value] * _elements(spec)
    return {"name": spec.name, "shape": _sizes(spec), "datatype": spec.datatype, "data": data}


def _predict_all(name: str) -> Json:
    texts: Json = {"type": "array", "items": {"type": "string"}}
    body = {"schema": _object({"inputs": texts}, ("inputs",)), "example": {"inputs": ["first text", "second text"]}}
    answer = _object({"outputs": texts}, ("outputs",))
    return _operation(name, "predict_all", "Predict for strings", body=body, answer=answer)


def _get(name: str, what: str, summary: str, also: tuple[str, ...] = ()) -> Json:
    operation = _operation(name, what, summary)
    for status in also:
        operation["responses"][status] = {"description": "Not ready"}
    return operation


def _operation(tag: str, what: str, summary: str, *, body: Json | None = None, answer: Json | None = None) -> Json:
    schema = answer or {"type": "object"}
    responses: Json = {
        "200": {"description": "OK", "content": {"application/json": {"schema": schema}}},
        "default": {
            "description": "What went wrong",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        },
    }
    operation: Json = {"tags": [tag], "summary": summary, "operationId": f"{what}_{tag}", "responses": responses}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": body}}
    return operation


def _object(properties: Json, required: tuple[str, ...]) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


_TEXT: Json = {"type": "string"}
_SCHEMAS: Json = {
    "Error": _object(
        {"error": _TEXT, "code": _TEXT, "hint": _TEXT, "field": _TEXT, "request_id": _TEXT},
        ("error", "code", "request_id"),
    ),
    "Parameters": {
        "type": "object",
        "properties": {
            "priority": {"type": "integer", "minimum": 0, "description": "0 is the default, 1 the highest"},
            "timeout": {"type": "integer", "minimum": 0, "description": "microseconds"},
        },
    },
    "Tensor": _object(
        {
            "name": _TEXT,
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": _TEXT,
            "parameters": {"type": "object"},
            "data": {"type": "array", "items": {}},
        },
        ("name", "shape", "datatype"),
    ),
}

_SERVER_PATHS: Json = {
    "/v2": {"get": _get(NODE, "metadata", "Name, version and extensions of the server")},
    "/v2/health/live": {"get": _get(NODE, "live", "Whether the server runs")},
    "/v2/health/ready": {"get": _get(NODE, "ready", "Whether the server can answer", also=("503",))},
    "/v2/models": {"get": _get(NODE, "models", "The names of all models")},
    "/v2/models/stats": {"get": _get(NODE, "stats", "Statistics of all models")},
}
