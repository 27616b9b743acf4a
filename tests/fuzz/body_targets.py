"""Targets of the bodies: the worker's decoders, the gateway's look at them, the guard of JSON, and settings files.

Where two pieces of our code, or Python's own parser, read the same bytes, they must agree on what these mean.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from fuzz import mutate
from fuzz.target import Target, refused
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Format
from shoal.core.errors import ConfigError, InvalidInput, Unsupported
from shoal.core.model import ModelSpec
from shoal.core.settings import documents, load_model_settings, models
from shoal.core.settings.overrides import override
from shoal.core.types import InferenceRequest, Parameters, Tensor, TensorSpec
from shoal.core.wire import json_guard, predict_all, v2_binary, v2_json, v2_proto
from shoal.core.wire.heads import Decoded
from shoal.serving.gateway import peek, peek_proto
from shoal.serving.worker.decode import Decoders

REFUSED = (InvalidInput, Unsupported)
_SPECS = (TensorSpec("x", "FP32", (-1, 4)), TensorSpec("t", "BYTES", (-1,)), TensorSpec("n", "INT16", (-1, -1, 2)))
_DECODERS = [Decoders((spec,)) for spec in _SPECS]
"""Kept from input to input, so that what they remember of one request may harm the next."""


def decode(form: Format, body: bytes, length: int = -1, *, spec: int = 0) -> Decoded | None:
    """A body through a decoder with a memory and through a fresh one: both must say the same. None: refused."""
    results = [_outcome(each, form, body, length) for each in (_DECODERS[spec], Decoders((_SPECS[spec],)))]
    results.append(_outcome(_DECODERS[spec], form, body, length))
    first = results[0]
    for other in results[1:]:
        assert (first is None) == (other is None), "what a decoder remembers changes what it accepts"
        assert first is None or other is None or _same(first.to_request(), other.to_request())
    return first


def _outcome(decoders: Decoders, form: Format, body: bytes, length: int) -> Decoded | None:
    try:
        decoded = decoders.decode(form, body, length)
        if all(each.name and each.datatype for each in decoded.head.inputs):
            decoded.to_request()
    except REFUSED:
        return None
    return decoded


def _same(one: InferenceRequest, two: InferenceRequest) -> bool:
    for mine, theirs in zip(one.inputs, two.inputs, strict=True):
        if (mine.name, mine.datatype, mine.shape) != (theirs.name, theirs.datatype, theirs.shape):
            return False
        if _told(mine.parameters) != _told(theirs.parameters) or not _equal(_values(mine), _values(theirs)):
            return False
    outputs = [[(each.name, _told(each.parameters)) for each in request.outputs or ()] for request in (one, two)]
    return (one.id, _told(one.parameters), outputs[0]) == (two.id, _told(two.parameters), outputs[1])


def _told(parameters: Parameters | None) -> str:
    """Parameters as text, in which NaN equals NaN and 1 is not True."""
    return repr(sorted((parameters or {}).items()))


def _values(tensor: Tensor) -> Any:
    return tensor.as_numpy() if tensor.datatype else tensor.data


def _equal(one: Any, two: Any) -> bool:
    one, two = np.asarray(one), np.asarray(two)
    return one.shape == two.shape and bool(np.array_equal(one, two, equal_nan=one.dtype.kind == "f"))


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), "a key that is there twice was accepted"
    return dict(pairs)


def plain(body: bytes) -> Any:
    """What Python's own parser reads; only called for what we have accepted."""
    return json.loads(body, object_pairs_hook=_no_key_twice)


def _flat(value: Any) -> list[Any]:
    return [leaf for each in value for leaf in _flat(each)] if isinstance(value, list) else [value]


def _agrees(tensor: Tensor, expected: Any) -> bool:
    leaves = _flat(expected)
    if tensor.datatype == "BYTES":
        return [each.decode() for each in tensor.as_numpy().reshape(-1)] == leaves
    with np.errstate(over="ignore"):
        return _equal(tensor.as_numpy().reshape(-1), np.array(leaves, dtype=tensor.as_numpy().dtype))


# V2 in JSON


def check_v2_json(body: bytes) -> None:
    """What is accepted means what plain JSON says; the gateway's look at it agrees."""
    decoded = decode(Format.V2_JSON, body)
    whole = refused(lambda: v2_json.Decoder()._decode_whole(body), *REFUSED)
    assert (decoded is None) == (whole is not None), "the quick way and the general way differ"
    seen = _peeked(peek.v2, body)
    if decoded is None:
        return
    told = plain(body)
    request = decoded.to_request()
    assert request.id == told.get("id")
    assert len(request.inputs) == len(told["inputs"])
    for mine, theirs in zip(request.inputs, told["inputs"], strict=True):
        assert _agrees(mine, theirs["data"])
    if isinstance(seen, peek.Peek):
        assert seen.rows == request.inputs[0].shape[0]
    else:
        assert seen.field.startswith("parameters"), f"the gateway refuses what the worker takes: {seen}"


def _peeked(look: Any, body: bytes, *more: int) -> peek.Peek | InvalidInput:
    try:
        seen = look(body, *more)
    except InvalidInput as error:
        return error
    assert 1 <= seen.rows <= max(1, len(body))
    assert seen.priority >= 0
    assert seen.timeout >= 0
    return seen  # type: ignore[no-any-return]


def v2_json_seeds() -> list[bytes]:
    one = b'{"name":"x","shape":[2],"datatype":"%s","data":[%s]}'
    bodies = [
        one % (b"FP32", b"1.5,-2"), one % (b"INT64", b"1,9007199254740993"), one % (b"BOOL", b"true,false"),
        one % (b"BYTES", b'"a","\\u00e9"'), one % (b"UINT8", b"0,255"),
        b'{"name":"x","shape":[2,2],"datatype":"FP64","data":[[1,2],[3,4]],"parameters":{"content_type":"np"}}',
        b'{"data":[1],"shape":[1],"datatype":"INT8","name":"a"},{"name":"b","shape":[1],"datatype":"BYTES","data":["data"]}',
        b'{"name":"x","shape":[1200],"datatype":"FP32","data":[' + b",".join([b"1"] * 1200) + b"]}",
        b'{"name":"x","shape":[2,600],"datatype":"INT32","data":[' + b",".join([b"[" + b",".join([b"7"] * 600) + b"]"] * 2) + b"]}",
    ]  # fmt: skip
    more = b'{"id":"7","parameters":{"priority":1,"timeout":5000},"inputs":[%s],"outputs":[{"name":"y"}]}'
    return [*(b'{"inputs":[%s]}' % body for body in bodies), more % bodies[0]]


JSON_WORDS = (
    b'"data"', b'"data":', b'"shape"', b'"inputs"', b'"name"', b'"datatype"', b'"parameters"', b'"id"', b'"outputs"',
    b'"instances"', b'"b64"', b'"priority"', b'"timeout"', b'"FP16"', b'"INT64"', b'"BYTES"', b'"BF16"', b'"UINT64"', b'"BOOL"',
    b'"x":{"data":[1,2]},', b'"binary_data_size"', b":", b"{", b"}", b"[", b"]", b'"', b"\\", b"8", b'{"b64":"AAAA"}', b'"FP32"',
)  # fmt: skip


# V2 with binary tensors, and raw mode


def check_v2_binary(data: bytes) -> None:
    """Two bytes of JSON length, one of the model, then a body: what is accepted can be written and read again."""
    length, spec, body = int.from_bytes(data[:2], "big"), (data[2] if len(data) > 2 else 0) % 3, data[3:]
    _peeked(peek.v2, body, min(length, len(body)))
    decoded = decode(Format.V2_JSON, body, length, spec=spec)
    if decoded is None:
        return
    request = decoded.to_request()
    for each in request.inputs:
        each.parameters = {
            key: value for key, value in (each.parameters or {}).items() if key != v2_binary.SIZE
        } or None
    written, head = v2_binary.encode_request(request, binary_output=False)
    again = v2_binary.Decoder().decode(written, head).to_request()
    for each in again.inputs:
        each.parameters = {
            key: value for key, value in (each.parameters or {}).items() if key != v2_binary.SIZE
        } or None
    assert _same(request, again)


def v2_binary_seeds() -> list[bytes]:
    numbers = Tensor("x", [1, 4], "FP32", np.arange(4, dtype=np.float32).reshape(1, 4))
    texts = Tensor("t", [2], "BYTES", [b"a", b"\xff" * 3])
    halves = Tensor("h", [2], "FP16", np.array([1, 2], dtype=np.float16))
    flags = Tensor("b", [3], "BOOL", np.array([True, False, True]))
    bodies = [v2_binary.encode_request(InferenceRequest([*each])) for each in ([numbers], [texts, halves, flags])]
    mixed = b'{"inputs":[{"name":"x","shape":[1],"datatype":"INT8","data":[1]},{"name":"y","shape":[2],"datatype":"INT8","parameters":{"binary_data_size":2}}]}'
    bodies.append((mixed + b"\1\2", len(mixed)))
    raw = [(0, 0, bytes(16)), (0, 1, b"text"), (0, 2, bytes(12))]
    return [
        *(length.to_bytes(2, "big") + b"\0" + body for body, length in bodies),
        *(length.to_bytes(2, "big") + bytes((spec,)) + body for length, spec, body in raw),
    ]


def _mutate_binary(data: bytes, random: Any) -> bytes:
    """Changes the JSON, or the tensors, or neither but the length; the length follows the JSON."""
    length, body = int.from_bytes(data[:2], "big"), data[3:]
    text, raw = body[:length], body[length:]
    if random.random() < 0.6:
        text = mutate.tokens(*JSON_WORDS)(text, random)
    else:
        raw = mutate.havoc(raw, random)
    length = len(text) if random.random() < 0.9 else random.randrange(len(body) + 2)
    return (length & 0xFFFF).to_bytes(2, "big") + data[2:3].ljust(1, b"\0") + text + raw


# V2 in protobuf


def check_v2_proto(body: bytes) -> None:
    """What is accepted is what upb reads, raw contents and all."""
    decoded = decode(Format.V2_PROTO, body)
    if decoded is None:
        return
    message = pb.ModelInferRequest.FromString(body)
    assert [each.name for each in message.inputs] == [each.name for each in decoded.head.inputs]
    assert (message.model_name, message.id or None) == (decoded.head.model_name, decoded.head.id)
    if message.raw_input_contents:
        written = v2_proto.encode_request(decoded.to_request())
        assert list(pb.ModelInferRequest.FromString(written).raw_input_contents) == list(message.raw_input_contents)


def check_peek_proto(body: bytes) -> None:
    """A look at a message never fails otherwise than documented, and agrees with upb where the order is the usual."""
    _look_at_proto(body)
    try:
        canonical = pb.ModelInferRequest.FromString(body).SerializeToString(deterministic=True)
        decoded = v2_proto.Decoder().decode(canonical)
    except (DecodeError, *REFUSED):
        return
    if sum(map(len, (decoded.head.inputs, decoded.head.outputs or (), decoded.head.parameters or ()))) > 32:
        return
    seen = _look_at_proto(canonical)
    message = pb.ModelInferRequest.FromString(canonical)
    if seen is None:
        assert not message.model_name or len(message.model_name.encode()) > 1024 or message.parameters
        return
    name, version, look = seen
    if len(name.encode()) < 1024 and len(version.encode()) < 1024:
        assert (name, version) == (message.model_name, message.model_version)
    assert look.rows == decoded.head.inputs[0].shape[0]


def _look_at_proto(message: bytes) -> tuple[str, str, peek.Peek] | None:
    try:
        name, version, at = peek_proto.model(message)
        assert 0 <= at <= len(message)
        seen = peek_proto.request(message, at)
    except InvalidInput:
        return None
    assert 1 <= seen.rows <= max(1, len(message))
    assert seen.priority >= 0
    assert seen.timeout >= 0
    return name, version, seen


def v2_proto_seeds() -> list[bytes]:
    numbers = Tensor("x", [2, 2], "FP32", np.ones((2, 2), dtype=np.float32), {"p": 1.5, "q": True})
    small, texts = Tensor("n", [2], "INT8", [1, -1]), Tensor("t", [1], "BYTES", [b"ab"])
    parameters = {"priority": 1, "timeout": 1000, "s": "x", "big": 1 << 63}
    named = {"model_name": "iris", "model_version": "1", "id": "7"}
    requests = [InferenceRequest([numbers, texts], parameters=parameters, **named), InferenceRequest([small], **named)]
    return [v2_proto.encode_request(each, raw=raw) for each in requests for raw in (True, False)]


# V1 and plain strings


def check_v1(body: bytes) -> None:
    """What is accepted holds the leaves of the plain JSON, in order; the gateway's look at it agrees."""
    seen = _peeked(peek.v1, body)
    decoded = decode(Format.V1_JSON, body)
    if decoded is None:
        return
    assert isinstance(seen, peek.Peek), f"the gateway refuses what the worker takes: {seen}"
    told = plain(body)
    value = told["inputs"] if decoded.head.columns else told["instances"]
    if not decoded.head.columns:
        assert seen.rows == len(value)
    if len(decoded.head.inputs) == 1 and not decoded.head.inputs[0].name and b"b64" not in body:
        assert list(decoded.data[0]) == _flat(value)
    for head, data in zip(decoded.head.inputs, decoded.data, strict=True):
        assert head.count == len(data)


def v1_seeds() -> list[bytes]:
    return [
        b'{"instances":[[1,2],[3,4]]}', b'{"instances":[{"a":1,"b":"x"},{"a":2,"b":"y"}]}', b'{"inputs":{"a":[1.5],"b":[[true]]}}',
        b'{"instances":[{"b64":"YWI="},{"b64":""}]}', b'{"signature_name":"s","inputs":["a","b"]}', b'{"instances":[1,2.5,1e300]}',
    ]  # fmt: skip


def check_predict_all(body: bytes) -> None:
    """What is accepted is the plain JSON's list of strings; the gateway counts as many."""
    seen = _peeked(peek.texts, body)
    decoded = decode(Format.PREDICT_ALL, body)
    if decoded is None:
        return
    assert isinstance(seen, peek.Peek)
    assert list(decoded.data[0]) == plain(body)["inputs"]
    assert seen.rows == len(decoded.data[0])
    assert predict_all.Decoder().decode(predict_all.encode_request(list(decoded.data[0]))).data[0] == decoded.data[0]


def predict_all_seeds() -> list[bytes]:
    return [
        b'{"inputs":["a"]}',
        '{ "inputs" : ["a:b", "é\\n", ""], "x": {"y": ["z"]} }'.encode(),
        b'{"inputs":["\\ud83d\\ude00"]}',
    ]


# The guard


def check_json_guard(text: bytes) -> None:
    """What passes is JSON to Python too, without a key twice; both ways of measuring depth agree."""
    accepted = refused(lambda: json_guard.check(json_guard.msgspec.json.decode, text), InvalidInput) is None
    if accepted:
        plain(text)
    try:
        depth = _depth(json.loads(text))
    except (ValueError, RecursionError):
        return
    shallow = refused(lambda: peek.check_depth(text), InvalidInput) is None
    assert shallow == (depth <= json_guard.MAX_DEPTH), f"{depth} levels"
    assert not accepted or shallow


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def json_guard_seeds() -> list[bytes]:
    return [
        b"[" * 100 + b"]" * 100, b'{"a":[{"b":"[{\\"","c":[]},{"b":1}],"d":{"a":{}}}', b"[" * 101 + b"]" * 101,
        b'{"a":"' + b"[" * 120 + b'"}', b'{"a\\u0062":1,"ab":2}', b'{"x":' * 60 + b"[" * 40 + b"]" * 40 + b"}" * 60,
    ]  # fmt: skip


# Settings

_FOLDER = Path(tempfile.gettempdir()).resolve()


def check_model_yaml(text: bytes) -> None:
    """A settings file makes a spec or a `ConfigError`; a load request's `config` an `InvalidInput`."""
    with contextlib.suppress(ConfigError):
        document, fields = models._parse(text, "model.yaml")
        models.to_spec(fields, document, "model.yaml", _FOLDER, name="m", version="", trust=False)
    base = ModelSpec(name="m", version="1", path="/m", runtime="python")
    refused(lambda: override(base, text.decode("utf-8", "replace")), InvalidInput)


def model_yaml_seeds() -> list[bytes]:
    return [
        b"name: wine\nversion: 3\nruntime: onnx\npath: .\ninputs:\n  - {name: x, datatype: FP32, shape: [-1, 13]}\n",
        b"batching: {policy: fixed, max_size: 4, max_wait_ms: 20ms}\nlimits:\n  memory_bytes: 512Mi\n  workers: 2\n",
        b"parameters: {a: 0x1f, b: 1:30, c: 1.5, d: !!float '1', e: 2020-01-01, f: null, g: [1, 2]}\n",
        b"warmup:\n  - {inputs: [{name: x, shape: [1], datatype: FP32, data: [0]}]}\nbatchable: no\nruntime: python\n",
        b"a: &a [1, 2]\nb: *a\nc: !!str 5\n? x\n: y\n", b'{"description": "t\\u00e9xt", "environment": {"A": 1}}', b"---\nx: |\n  text\n...\n",
    ]  # fmt: skip


YAML_WORDS = (
    b"!!int ", b"!!float ", b"!!bool ", b"!!null ", b"!!timestamp ", b"!!map ", b"!!seq ", b"!!binary ", b"<<: ", b"&a ", b"*a",
    b"\n- ", b"\n  ", b"? ", b": ", b"|", b">", b"---\n", b"%YAML 1.1\n", b"''", b":00" * 200, b".0", b"0x" + b"f" * 200, b"path: ",
    b"warmup: ", b"a" * 300, b"\\0", b'"\\0"', b"..", b"/", b"inf", b".inf", b".nan", b"_", b"~", b"2020-99-99", b"runtime: python\n",
)  # fmt: skip


def check_model_settings(text: bytes) -> None:
    """A `model-settings.json` makes a spec or a `ConfigError`."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(text)
        file.flush()
        refused(lambda: load_model_settings(Path(file.name)), ConfigError)


def model_settings_seeds() -> list[bytes]:
    return [
        b'{"name":"a","implementation":"mlserver_sklearn.SKLearnModel","parameters":{"uri":".","version":"1"}}',
        b'{"name":"a","implementation":"my.Model","max_batch_size":4,"max_batch_time":0.5,"parameters":{"extra":{"task":"x"}}}',
    ]


def check_document(text: bytes) -> None:
    """Any document is plain data or a `ConfigError`, and every field of it has a line."""
    try:
        document = documents.read(text, "f.yaml")
    except ConfigError:
        return
    assert all(line >= 1 for line in document.line.values())


_JSON = mutate.tokens(*JSON_WORDS)
_YAML = mutate.tokens(*YAML_WORDS)

TARGETS = (
    Target("v2_json", check_v2_json, v2_json_seeds, _JSON),
    Target("v2_binary", check_v2_binary, v2_binary_seeds, _mutate_binary),
    Target("v2_proto", check_v2_proto, v2_proto_seeds, mutate.records),
    Target("peek_proto", check_peek_proto, v2_proto_seeds, mutate.records),
    Target("v1_json", check_v1, v1_seeds, _JSON),
    Target("predict_all", check_predict_all, predict_all_seeds, _JSON),
    Target("json_guard", check_json_guard, json_guard_seeds, _JSON),
    Target("model_yaml", check_model_yaml, model_yaml_seeds, _YAML),
    Target("yaml_document", check_document, model_yaml_seeds, _YAML),
    Target(
        "model_settings",
        check_model_settings,
        model_settings_seeds,
        mutate.tokens(b'"uri"', b'"\\u0000"', b'"..', *JSON_WORDS),
    ),
)
