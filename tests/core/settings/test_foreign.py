"""`model-settings.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.core.errors import ConfigError
from shoal.core.model import Batching
from shoal.core.settings import load_model_settings


def load(folder: Path, **fields: Any) -> Any:
    file = folder / "model-settings.json"
    file.write_text(json.dumps({"name": "m"} | fields))
    return load_model_settings(file)


def test_no_code_transformer_is_read(tmp_path: Path) -> None:
    extra = {"task": "text-generation", "pretrained_model": "distilgpt2"}
    spec = load(
        tmp_path,
        implementation="mlserver_huggingface.HuggingFaceRuntime",
        parallel_workers=0,
        parameters={"extra": extra},
    )
    assert (spec.name, spec.runtime, spec.parameters, spec.path) == ("m", "transformers", extra, str(tmp_path))


def test_own_class_uri_version_and_batches_are_read(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    spec = load(
        tmp_path,
        implementation="mine.Runner",
        parameters={"uri": "./w", "version": "v1"},
        max_batch_size=8,
        max_batch_time=0.05,
    )
    assert (spec.runtime, spec.implementation, spec.version) == ("python", "mine:Runner", "v1")
    assert spec.path == str(tmp_path / "w")
    assert spec.batching == Batching(max_size=8, max_wait_ms=50.0)
    assert spec.trust == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "implementation"),
        ({"implementation": "mlserver_other.Runtime"}, "is not known"),
        ({"implementation": "x"}, "is not known"),
        ({"implementation": 3}, r"\$.implementation"),
        ({"implementation": "a.B", "name": "a/b"}, "must be 1 to 128"),
        ({"implementation": "a.B", "parameters": {"uri": "../.."}}, "must lie in"),
        ({"implementation": "a.B", "parameters": {"uri": "nowhere"}}, "there is no"),
        ({"implementation": "a.B", "parameters": {"uri": "a\0b"}}, "cannot be looked at"),
        ({"implementation": "a.B", "parameters": {"uri": "a" * 5000}}, "cannot be looked at"),
        ({"implementation": "a.B", "parameters": {"extra": {"a": [1]}}}, r"extra\.a"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, **fields)
