"""MLflow folders."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.pyfunc")
    pytest.importorskip("mlflow.sklearn")

import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from shoal.control.folder import scan
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.model import ModelSpec
from shoal.core.types import TensorSpec
from shoal.serving.adapters.catalog import create_adapter

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]

ROWS = np.random.default_rng(1).normal(size=(20, 2))
LABELS = (ROWS[:, 0] > 0).astype(np.int64)
FRAME = pd.DataFrame(ROWS, columns=["a", "b"])
OPTIONS: dict[str, Any] = {"pip_requirements": ["scikit-learn"]}


class Greeter(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return pd.DataFrame({"greeting": "hello " + model_input["name"], "length": model_input["name"].str.len()})


def load(path: Path, **fields: Any) -> Any:
    adapter = create_adapter(ModelSpec(name="m", path=str(path), runtime="mlflow", trust="code", **fields))
    adapter.load()
    return adapter


def test_folder_with_columns_needs_only_trust(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    signature = infer_signature(FRAME, model.predict(FRAME))
    mlflow.sklearn.save_model(model, str(tmp_path / "m"), signature=signature, **OPTIONS)
    problems = scan([tmp_path]).problems
    assert "not trusted" in str(problems[0].error)
    (spec,) = scan([tmp_path], trust=True).specs
    adapter: Any = create_adapter(spec)
    adapter.load()
    answers = adapter.predict({"a": ROWS[:, 0], "b": ROWS[:, 1]})
    np.testing.assert_array_equal(answers["predict"], model.predict(FRAME))
    assert adapter.signature().inputs == (TensorSpec("a", "FP64", (-1,)), TensorSpec("b", "FP64", (-1,)))
    with pytest.raises(InvalidInput, match="missing: b"):
        adapter.predict({"a": ROWS[:, 0], "c": ROWS[:, 0]})


def test_folder_with_a_tensor(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, LABELS)
    mlflow.sklearn.save_model(
        model, str(tmp_path / "m"), signature=infer_signature(ROWS, model.predict(ROWS)), **OPTIONS
    )
    adapter = load(tmp_path / "m")
    np.testing.assert_array_equal(adapter.predict({"x": ROWS})["predict"], model.predict(ROWS))
    assert adapter.signature().inputs == (TensorSpec("inputs", "FP64", (-1, 2)),)


def test_folder_without_a_signature(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, LABELS)
    mlflow.sklearn.save_model(model, str(tmp_path / "m"), **OPTIONS)
    adapter = load(tmp_path / "m")
    np.testing.assert_array_equal(adapter.predict({"x": ROWS})["predict"], model.predict(ROWS))
    assert adapter.signature().inputs == ()


def test_python_function_with_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["Ann", "Bo"]})
    signature = infer_signature(frame, Greeter().predict(None, frame))
    mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=Greeter(), signature=signature, pip_requirements=[])
    adapter = load(tmp_path / "m")
    answers = adapter.predict({"any": np.array([b"Ann", b"Bo"], dtype=object)})
    assert list(answers["greeting"]) == ["hello Ann", "hello Bo"]
    assert list(answers["length"]) == [3, 2]
    assert [each.datatype for each in adapter.signature().outputs] == ["BYTES", "INT64"]


def test_without_trust_nothing_is_loaded(tmp_path: Path) -> None:
    mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=Greeter(), pip_requirements=[])
    with pytest.raises(ConfigError, match="not trusted"):
        create_adapter(ModelSpec(name="m", path=str(tmp_path / "m"), runtime="mlflow"))
