"""Small real models, trained in milliseconds and saved in each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import skops.io
import xgboost
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from shoal.core.model import ModelSpec

RNG = np.random.default_rng(7)
ROWS = RNG.normal(size=(60, 4))
CLASSES = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
NAMES = ["a", "b", "c", "d"]


def classifier(labels: Any = CLASSES) -> Any:
    return LogisticRegression(max_iter=200).fit(ROWS, labels)


def spec(path: Path, runtime: str, **fields: Any) -> ModelSpec:
    return ModelSpec(**{"name": "m", "path": str(path), "runtime": runtime} | fields)


def save_joblib(path: Path, model: Any = None) -> Any:
    model = classifier() if model is None else model
    joblib.dump(model, path)
    return model


def save_skops(path: Path, model: Any = None) -> Any:
    model = classifier() if model is None else model
    skops.io.dump(model, path)
    return model


def save_xgboost(path: Path, **parameters: Any) -> Any:
    data = xgboost.DMatrix(ROWS, label=CLASSES, feature_names=NAMES, nthread=1)
    given = {"objective": "multi:softprob", "num_class": 3, "nthread": 1} | parameters
    booster = xgboost.train(given, data, num_boost_round=5)
    booster.save_model(path)
    return booster


def save_lightgbm(path: Path) -> Any:
    data = lightgbm.Dataset(ROWS, label=CLASSES > 0, feature_name=NAMES, params={"verbose": -1})
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)
    booster.save_model(path)
    return booster


def save_onnx(path: Path, model: Any = None, **options: Any) -> Any:
    model = classifier() if model is None else model
    graph = to_onnx(model, ROWS[:1].astype(np.float32), **options)
    path.write_bytes(graph.SerializeToString())
    return model
