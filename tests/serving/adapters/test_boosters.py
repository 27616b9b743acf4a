"""XGBoost and LightGBM boosters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from shoal.core.errors import ConfigError, InvalidInput
from shoal.serving.adapters.base import TypedAdapter
from shoal.serving.adapters.catalog import create_adapter, recognise
from support import saved_models as saved


def load(path: Path, **fields: Any) -> TypedAdapter:
    adapter = create_adapter(saved.spec(path, recognise(path), **fields))
    adapter.load()
    assert isinstance(adapter, TypedAdapter)
    return adapter


@pytest.mark.parametrize("suffix", [".ubj", ".json"])
def test_xgboost_gives_what_the_booster_gives(tmp_path: Path, suffix: str) -> None:
    booster = saved.save_xgboost(tmp_path / f"m{suffix}")
    adapter = load(tmp_path / f"m{suffix}")
    expected = booster.predict(xgboost.DMatrix(saved.ROWS, feature_names=saved.NAMES, nthread=1))
    rows = saved.ROWS.astype(np.float32)
    np.testing.assert_allclose(np.asarray(adapter.predict({"x": rows})["predict"]), expected, rtol=1e-5)
    columns = {name: rows[:, [number]] for number, name in enumerate(saved.NAMES)}
    np.testing.assert_allclose(np.asarray(adapter.predict(columns)["predict"]), expected, rtol=1e-5)
    assert adapter.accepts(saved.NAMES)
    signature = adapter.signature()
    assert (signature.inputs[0].datatype, signature.inputs[0].shape) == ("FP32", (-1, 4))
    assert (signature.outputs[0].datatype, signature.outputs[0].shape) == ("FP32", (-1, 3))


def test_xgboost_linear_booster_works_too(tmp_path: Path) -> None:
    booster = saved.save_xgboost(
        tmp_path / "m.ubj", booster="gblinear", objective="reg:squarederror", num_class=0, updater="coord_descent"
    )
    expected = booster.predict(xgboost.DMatrix(saved.ROWS, feature_names=saved.NAMES, nthread=1))
    answers = load(tmp_path / "m.ubj").predict({"x": saved.ROWS.astype(np.float32)})
    np.testing.assert_allclose(np.asarray(answers["predict"]), expected, rtol=1e-5)


def test_lightgbm_gives_what_the_booster_gives(tmp_path: Path) -> None:
    booster = saved.save_lightgbm(tmp_path / "m.txt")
    adapter = load(tmp_path / "m.txt")
    expected = booster.predict(saved.ROWS)
    np.testing.assert_allclose(np.asarray(adapter.predict({"x": saved.ROWS})["predict"]), expected)
    columns = {name: saved.ROWS[:, number] for number, name in enumerate(saved.NAMES)}
    np.testing.assert_allclose(np.asarray(adapter.predict(columns)["predict"]), expected)
    signature = adapter.signature()
    assert (signature.inputs[0].datatype, signature.inputs[0].shape) == ("FP64", (-1, 4))
    assert (signature.outputs[0].name, signature.outputs[0].shape) == ("predict", (-1,))


@pytest.mark.parametrize("name", ["m.ubj", "m.txt"])
def test_wrong_width_is_the_callers_error(tmp_path: Path, name: str) -> None:
    (saved.save_xgboost if name == "m.ubj" else saved.save_lightgbm)(tmp_path / name)
    with pytest.raises(InvalidInput, match="must have 4 columns"):
        load(tmp_path / name).predict({"x": np.zeros((1, 3))})


@pytest.mark.parametrize(("name", "head"), [("m.ubj", b"{L\0\0\0\0\0\0\0\7learner"), ("m.txt", b"tree\nversion=v4\n")])
def test_damaged_file_is_a_clear_error(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head + b"\x00garbage")
    with pytest.raises(ConfigError, match="that can be read"):
        load(tmp_path / name)
