"""scikit-learn: matrices, named columns, text, probabilities, skops and pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from shoal.core.errors import ConfigError, InvalidInput
from shoal.serving.adapters.base import TypedAdapter
from shoal.serving.adapters.catalog import create_adapter
from support import saved_models as saved


def load(path: Path, **fields: Any) -> TypedAdapter:
    adapter = create_adapter(saved.spec(path, "sklearn", **{"trust": "code"} | fields))
    adapter.load()
    assert isinstance(adapter, TypedAdapter)
    return adapter


@pytest.mark.parametrize("suffix", [".joblib", ".pkl", ".skops"])
def test_predicts_what_the_model_predicts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    model = (saved.save_skops if suffix == ".skops" else saved.save_joblib)(path)
    adapter = load(path)
    np.testing.assert_array_equal(adapter.predict({"any": saved.ROWS})["predict"], model.predict(saved.ROWS))
    signature = adapter.signature()
    assert [(each.name, each.datatype, each.shape) for each in signature.inputs] == [("inputs", "FP64", (-1, 4))]
    assert [(each.name, each.datatype, each.shape) for each in signature.outputs] == [("predict", "INT64", (-1,))]


def test_folder_with_one_file_is_enough(tmp_path: Path) -> None:
    saved.save_skops(tmp_path / "weights.skops")
    assert load(tmp_path, trust="").predict({"x": saved.ROWS})["predict"] is not None


def test_outputs_are_chosen_by_parameter(tmp_path: Path) -> None:
    model = saved.save_skops(tmp_path / "m.skops")
    adapter = load(tmp_path / "m.skops", parameters={"outputs": ["predict", "predict_proba", "decision_function"]})
    answers = adapter.predict({"x": saved.ROWS})
    np.testing.assert_allclose(np.asarray(answers["predict_proba"]), model.predict_proba(saved.ROWS))
    assert [each.shape for each in adapter.signature().outputs] == [(-1,), (-1, 3), (-1, 3)]


def test_output_that_is_not_there_is_refused(tmp_path: Path) -> None:
    saved.save_skops(tmp_path / "m.skops", LinearRegression().fit(saved.ROWS, saved.CLASSES))
    with pytest.raises(ConfigError, match="no output 'predict_proba'") as raised:
        load(tmp_path / "m.skops", parameters={"outputs": ["predict_proba"]})
    assert "predict" in raised.value.hint


@pytest.mark.parametrize("name", ["fit", "__class__", "set_params"])
def test_only_known_methods_can_be_outputs(tmp_path: Path, name: str) -> None:
    saved.save_skops(tmp_path / "m.skops")
    with pytest.raises(ConfigError):
        load(tmp_path / "m.skops", parameters={"outputs": [name]})


def test_text_labels_are_bytes(tmp_path: Path) -> None:
    saved.save_joblib(tmp_path / "m.joblib", saved.classifier(np.array(["no", "yes", "perhaps"])[saved.CLASSES]))
    adapter = load(tmp_path / "m.joblib")
    assert adapter.signature().outputs[0].datatype == "BYTES"
    assert set(adapter.predict({"x": saved.ROWS})["predict"]) == {"no", "yes", "perhaps"}


def test_named_features_are_taken_as_matrix_or_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(saved.ROWS, columns=saved.NAMES)
    model = LogisticRegression().fit(frame, saved.CLASSES)
    saved.save_joblib(tmp_path / "m.joblib", model)
    adapter = load(tmp_path / "m.joblib")
    columns = {name: frame[name].to_numpy() for name in reversed(saved.NAMES)}
    columns["a"] = columns["a"].reshape(-1, 1)
    expected = model.predict(frame)
    np.testing.assert_array_equal(adapter.predict({"x": saved.ROWS})["predict"], expected)
    np.testing.assert_array_equal(adapter.predict(columns)["predict"], expected)
    assert adapter.accepts(saved.NAMES)
    assert not adapter.accepts(["a"])


def test_columns_of_text_and_numbers_make_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "blue", "red", "green"]})
    columns = ColumnTransformer([("n", StandardScaler(), ["size"]), ("c", OneHotEncoder(), ["colour"])])
    model = make_pipeline(columns, LinearRegression()).fit(frame, [1, 2, 3, 4])
    saved.save_joblib(tmp_path / "m.joblib", model)
    adapter = load(tmp_path / "m.joblib")
    assert {each.name: each.datatype for each in adapter.signature().inputs} == {"size": "FP64", "colour": "BYTES"}
    inputs = {"size": np.array([2.0, 3.0]), "colour": np.array([b"blue", b"red"], dtype=object)}
    np.testing.assert_allclose(np.asarray(adapter.predict(inputs)["predict"]), model.predict(frame[1:3]))
    with pytest.raises(InvalidInput, match="missing: colour"):
        adapter.predict({"size": np.array([2.0])})


def test_text_vectoriser_takes_bytes(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good day", "bad day", "good"], [1, 0, 1])
    saved.save_joblib(tmp_path / "m.joblib", model)
    adapter = load(tmp_path / "m.joblib")
    assert adapter.signature().inputs[0].datatype == "BYTES"
    answers = adapter.predict({"x": np.array([b"good", b"bad day"], dtype=object)})["predict"]
    assert list(answers) == list(model.predict(["good", "bad day"]))
    with pytest.raises(InvalidInput, match="UTF-8"):
        adapter.predict({"x": np.array([b"\xff"], dtype=object)})


def test_transformer_answers_with_transform(tmp_path: Path) -> None:
    saved.save_skops(tmp_path / "m.skops", PCA(2).fit(saved.ROWS))
    adapter = load(tmp_path / "m.skops")
    assert np.shape(adapter.predict({"x": saved.ROWS[:3]})["transform"]) == (3, 2)


def test_jobs_are_the_thread_limit(tmp_path: Path) -> None:
    forest = RandomForestClassifier(3, n_jobs=-1, random_state=0).fit(saved.ROWS, saved.CLASSES)
    saved.save_joblib(tmp_path / "m.joblib", make_pipeline(StandardScaler(), forest).fit(saved.ROWS, saved.CLASSES))
    adapter: Any = load(tmp_path / "m.joblib")
    assert adapter.estimator.steps[1][1].n_jobs == 1


@pytest.mark.parametrize("shape", [(2, 3), (2, 5), (4,), (2, 4, 1)])
def test_wrong_width_is_the_callers_error(tmp_path: Path, shape: tuple[int, ...]) -> None:
    saved.save_skops(tmp_path / "m.skops")
    with pytest.raises(InvalidInput, match="must have 4 columns"):
        load(tmp_path / "m.skops").predict({"x": np.zeros(shape)})


def test_wrong_names_are_the_callers_error(tmp_path: Path) -> None:
    saved.save_skops(tmp_path / "m.skops")
    with pytest.raises(InvalidInput, match="takes one input"):
        load(tmp_path / "m.skops").predict({"x": np.zeros((1, 2)), "y": np.zeros((1, 2))})


def test_skops_with_unknown_types_names_them(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(np.linalg.norm), LinearRegression())
    saved.save_skops(tmp_path / "m.skops", model)
    with pytest.raises(ConfigError, match="numpy"):
        load(tmp_path / "m.skops", trust="")
    load(tmp_path / "m.skops", trust="code")


def test_pickle_named_skops_is_not_loaded(tmp_path: Path) -> None:
    saved.save_joblib(tmp_path / "m.skops")
    with pytest.raises(ConfigError, match="no skops file"):
        load(tmp_path / "m.skops", trust="")


def test_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes(b"not a pickle")
    with pytest.raises(ConfigError, match=r"m\.joblib cannot be loaded"):
        load(tmp_path / "m.joblib")
