"""`model.yaml`: every field, every kind of mistake, and what the files beside it add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shoal.core.errors import ConfigError
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.settings import ModelFile, load_model_file, model_file_schema, parse_model_file
from shoal.core.settings.schema import BatchingFields, LimitsFields
from shoal.core.types import TensorSpec

EVERY_FIELD = """\
name: wine
version: 3
description: Tells wines apart.
runtime: onnx
path: files/wine.onnx
trust: code
inputs:
  - {name: x, datatype: FP32, shape: [-1, 13]}
outputs:
  - {name: y, datatype: INT64, shape: [-1]}
parameters: {outputs: [y], depth: 3, rate: 0.5, flag: true, none: null, word: text}
warmup:
  - {inputs: [{name: x, shape: [1, 13], datatype: FP32, data: [0, 0]}]}
  - files/warm.json
batchable: false
pure: false
allow_nonfinite: true
environment: {A: 1, B: text, C: 2.5}
app: extra:app
batching:
  preset: throughput
  policy: fixed
  max_size: 32
  max_wait_ms: 5ms
  queue_rows: 100
  queue_bytes: 1Mi
  queue_seconds: 2s
  latency_target_ms: 40
limits:
  workers: 2
  threads: 3
  memory_bytes: 512Mi
  timeout_seconds: 30s
  execution_seconds: 1m
  load_seconds: 90
  max_requests: 1000
"""


def model(folder: Path, text: str) -> Path:
    (folder / "files").mkdir(exist_ok=True)
    (folder / "files" / "wine.onnx").write_bytes(b"\x08\x07")
    (folder / "files" / "warm.json").write_text('{"inputs": []}')
    file = folder / "model.yaml"
    file.write_text(text)
    return file


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse_model_file(text)
    return str(raised.value)


def test_every_field_arrives(tmp_path: Path) -> None:
    spec = load_model_file(model(tmp_path, EVERY_FIELD))
    assert spec == ModelSpec(
        name="wine",
        version="3",
        description="Tells wines apart.",
        runtime="onnx",
        path=str(tmp_path / "files" / "wine.onnx"),
        trust="code",
        inputs=(TensorSpec("x", "FP32", (-1, 13)),),
        outputs=(TensorSpec("y", "INT64", (-1,)),),
        parameters={"outputs": ["y"], "depth": 3, "rate": 0.5, "flag": True, "none": None, "word": "text"},
        warmup=(
            '{"inputs": [{"name": "x", "shape": [1, 13], "datatype": "FP32", "data": [0, 0]}]}',
            '{"inputs": []}',
        ),
        batchable=False,
        pure=False,
        allow_nonfinite=True,
        environment={"A": "1", "B": "text", "C": "2.5"},
        app="extra:app",
        batching=Batching(
            policy="fixed",
            max_size=32,
            max_wait_ms=5.0,
            queue_rows=100,
            queue_bytes=1024 * 1024,
            queue_seconds=2.0,
            latency_target_ms=40.0,
        ),
        limits=Limits(
            workers=2,
            threads=3,
            memory_bytes=512 * 1024 * 1024,
            timeout_seconds=30.0,
            execution_seconds=60.0,
            load_seconds=90.0,
            max_requests=1000,
        ),
    )


def test_every_field_of_a_spec_can_be_said() -> None:
    told_by_others = {"digest", "tenant", "placement", "pool", "pinned", "python"}
    assert set(ModelFile.model_fields) == set(ModelSpec.__struct_fields__) - told_by_others
    assert set(BatchingFields.model_fields) == {"preset", *Batching.__struct_fields__}
    assert set(LimitsFields.model_fields) == set(Limits.__struct_fields__)


def test_empty_file_has_the_defaults_of_a_spec(tmp_path: Path) -> None:
    spec = load_model_file(model(tmp_path, "path: files/wine.onnx\n"))
    assert spec == ModelSpec(name=tmp_path.name, path=spec.path, runtime="onnx")
    assert parse_model_file("") == ModelFile()


def test_a_request_is_hedged_only_if_that_is_asked_for(tmp_path: Path) -> None:
    assert load_model_file(model(tmp_path, "runtime: onnx\n")).hedge_after_ms is None
    assert load_model_file(model(tmp_path, "runtime: onnx\nhedge_after_ms: 0.2s\n")).hedge_after_ms == 200.0
    assert "hedge_after_ms: must be greater than 0" in complaint("hedge_after_ms: 0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("preset: auto", Batching()),
        ("preset: near-real-time", Batching(policy="fixed", max_size=4, max_wait_ms=20.0)),
        ("preset: latency", Batching(policy="fixed", max_size=1, max_wait_ms=0.0)),
        ("preset: throughput", Batching(max_size=64, max_wait_ms=50.0)),
        ("preset: near-real-time, max_size: auto", Batching(policy="fixed", max_size=None, max_wait_ms=20.0)),
        ("preset: near-real-time, max_wait_ms: 7", Batching(policy="fixed", max_size=4, max_wait_ms=7.0)),
        ("policy: adaptive, queue_seconds: null", Batching()),
    ],
)
def test_preset_gives_what_is_not_said(tmp_path: Path, text: str, expected: Batching) -> None:
    assert load_model_file(model(tmp_path, f"runtime: onnx\nbatching: {{{text}}}\n")).batching == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runtme: onnx", "model.yaml:1: runtme: there is no such field; did you mean `runtime`?"),
        ("batching:\n  polcy: fixed", "model.yaml:2: batching.polcy: there is no such field; did you mean `policy`?"),
        ("batching:\n  policy: greedy", "model.yaml:2: batching.policy: must be 'adaptive' or 'fixed', it is 'greedy'"),
        ("batching:\n  preset: fast", "must be 'auto', 'near-real-time', 'latency' or 'throughput', it is 'fast'"),
        ("\n\nbatching: {max_size: many}", "model.yaml:3: batching.max_size: must be auto or a number of rows from 1"),
        ("batching: {max_size: 0}", "must be auto or a number of rows from 1 to 1000000, it is '0'"),
        ("batching: {max_wait_ms: 5 parsecs}", "must be a duration, such as 20ms, 30s or 5m, it is '5 parsecs'"),
        ("batching: {max_wait_ms: -1}", "batching.max_wait_ms: must be greater than or equal to 0"),
        ("batching: {queue_bytes: lots}", "must be a size, such as 512Mi, 2G or a number of bytes, it is 'lots'"),
        ("batching: {queue_rows: 0}", "batching.queue_rows: must be greater than or equal to 1"),
        ("batching: {latency_target_ms: .nan}", "must be a duration"),
        ("limits: {workers: 2000}", "limits.workers: must be less than or equal to 1024, it is '2000'"),
        ("limits: {workers: true}", "limits.workers: must be a valid integer, it is 'true'"),
        ("limits: {timeout_seconds: .inf}", "limits.timeout_seconds: must be a duration"),
        ("limits: {timeout_seconds: 0}", "limits.timeout_seconds: must be greater than 0"),
        ("limits: {memory_bytes: 1Mi}", "limits.memory_bytes: must be greater than or equal to 16777216"),
        ("limits: 3", "model.yaml:1: limits: "),
        ("inputs:\n- name: x", "model.yaml:2: inputs[0].datatype: is required"),
        ("inputs:\n- {name: x, datatype: FLOAT, shape: [1]}", "inputs[0].datatype: must be 'BOOL', 'UINT8'"),
        ("inputs:\n- {name: x, datatype: FP32, shape: [-2]}", "inputs[0].shape[0]: must be a number of elements, or"),
        ("name: no", "model.yaml:1: name: must be a valid string, it is 'no' (YAML reads no without quotes as false"),
        ("name: 'a/b'", "name: must be 1 to 128 letters, digits"),
        ("version: 1.10", "version: must be text: write it in quotes, or a whole number, it is '1.10'"),
        ("version: 'a b'", "version: must match"),
        ("trust: yes", "trust: must be 'code', it is 'yes'"),
        ("environment: {A: off}", "environment.A: must be a valid string, it is 'off' (YAML reads off without quotes"),
        ("parameters: {a: {b: 1}}", "parameters.a: must be text, a number, true, false, null, or a list of those"),
        ("parameters: {a: [[1]]}", "parameters.a: must be text"),
        ("parameters: {a: 99999999999999999999}", "parameters.a: must be less than 2^63"),
        ("limits: {memory_bytes: 99999999Ti}", "limits.memory_bytes: must be less than"),
        ("limits: {max_requests: 99999999999999999999}", "limits.max_requests: must be less than"),
        ("warmup: [3]", "warmup[0]: must be the name of a JSON file, or a V2 request, it is '3'"),
        ("app: nothing", "app: must match"),
        ("implementation: 'a b:C'", "implementation: must match"),
        ("batchable: no thanks", "batchable: must be a valid boolean"),
        ("- a\n- b", "model.yaml:1: it must hold fields"),
    ],
)
def test_each_mistake_is_named_with_its_line(text: str, expected: str) -> None:
    assert expected in complaint(text)


def test_all_mistakes_are_told_at_once_in_their_order() -> None:
    lines = complaint("limits:\n  workers: 0\n  threads: x\nnmae: a\nbatching: {max_size: x}\n").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["model.yaml:2", "model.yaml:3", "model.yaml:4", "model.yaml:5"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path: ../other", "path: must lie in the model's folder"),
        ("path: /etc", "path: must lie in the model's folder"),
        ("path: nothing.onnx", "path: there is no 'nothing.onnx'"),
        ('path: "a\\0b"', "path: must be a path"),
        ("runtime: onnx\nwarmup:\n- ../x.json", "model.yaml:3: warmup[0]: must lie in the model's folder"),
        ("runtime: onnx\nwarmup: [files/wine.onnx]", "warmup[0]: files/wine.onnx is no JSON file"),
        ("runtime: onnx\nwarmup: [files]", "warmup[0]: files is no JSON file"),
        ("path: " + "a" * 5000, "path: cannot be looked at: File name too long"),
        (
            "runtime: onnx\npure: false\nhedge_after_ms: 2s",
            "model.yaml:3: hedge_after_ms: is for models whose requests may run twice",
        ),
        ("runtime: onnx\nimplementation: a:B", "implementation: is for the runtime python, the runtime here is onnx"),
    ],
)
def test_files_beside_it_are_checked(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_model_file(model(tmp_path, text))
    assert expected in str(raised.value)


def test_warmup_in_another_encoding_is_named(tmp_path: Path) -> None:
    file = model(tmp_path, "runtime: onnx\nwarmup: [warm.json]")
    (file.parent / "warm.json").write_bytes('{"inputs": []}'.encode("utf-16"))
    with pytest.raises(ConfigError, match=r"warmup\[0\]: warm.json is no JSON file"):
        load_model_file(file)


def test_implementation_alone_means_python(tmp_path: Path) -> None:
    assert load_model_file(model(tmp_path, "implementation: mine:Model\n")).runtime == "python"


def test_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_model_file(tmp_path / "model.yaml")


def test_spec_crosses_a_process_border(tmp_path: Path) -> None:
    spec = load_model_file(model(tmp_path, EVERY_FIELD))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=ModelSpec) == spec


def test_schema_describes_every_field() -> None:
    schema = model_file_schema()
    json.dumps(schema)
    tables: list[dict[str, Any]] = [schema, *schema["$defs"].values()]
    for table in tables:
        assert table["additionalProperties"] is False
        assert [name for name, each in table["properties"].items() if not each.get("description")] == []
