"""Train a few small, real models on the data sets that scikit-learn ships, and lay them down as a folder to serve.

    python examples/demo/train_models.py demo-models
    shoal serve demo-models --trust

One model per library: iris (scikit-learn), cancer (XGBoost), diabetes (LightGBM), digits (ONNX), and shout, a
text model written by hand. The numbers printed are accuracies (R2 for diabetes) on a quarter of the data held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib
import lightgbm
import numpy as np
import xgboost
from skl2onnx import to_onnx
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SHOUT = '''"""A text model: one method, a list of strings in, a list of the same length and order out."""


class Shout:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [text.upper() + "!" for text in inputs]
'''

SHOUT_CONFIG = """\
runtime: python
implementation: model:Shout
trust: code
description: Says it louder.
"""


def iris(folder: Path) -> float:
    """Three kinds of iris from four lengths in cm."""
    x, x_test, y, y_test = train_test_split(*datasets.load_iris(return_X_y=True), random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0)).fit(x, y)
    joblib.dump(model, folder / "iris.joblib")
    return float(accuracy_score(y_test, model.predict(x_test)))


def cancer(folder: Path) -> float:
    """Probability that a tumour is benign, from 30 measurements of its cells."""
    x, x_test, y, y_test = train_test_split(*datasets.load_breast_cancer(return_X_y=True), random_state=0)
    options = {"objective": "binary:logistic", "max_depth": 4, "seed": 0, "nthread": 1}
    booster = xgboost.train(options, xgboost.DMatrix(x, y), num_boost_round=40)
    booster.save_model(folder / "cancer.ubj")
    return float(accuracy_score(y_test, booster.predict(xgboost.DMatrix(x_test)) > 0.5))


def diabetes(folder: Path) -> float:
    """Progression of diabetes after a year, from ten values of a patient."""
    x, x_test, y, y_test = train_test_split(*datasets.load_diabetes(return_X_y=True), random_state=0)
    options = {
        "objective": "regression",
        "num_leaves": 7,
        "learning_rate": 0.05,
        "verbose": -1,
        "seed": 0,
        "num_threads": 1,
    }
    booster = lightgbm.train(options, lightgbm.Dataset(x, y), num_boost_round=80)
    booster.save_model(folder / "diabetes.txt")
    return float(r2_score(y_test, booster.predict(x_test)))


def digits(folder: Path) -> float:
    """Handwritten digits, 8 x 8 grey values, by a small neural network in ONNX."""
    x, x_test, y, y_test = train_test_split(*datasets.load_digits(return_X_y=True), random_state=0)
    model = MLPClassifier((64,), max_iter=400, random_state=0, tol=1e-3).fit(x / 16.0, y)
    sample = np.zeros((1, 64), np.float32)
    onnx_model = to_onnx(model, sample, options={"zipmap": False}, target_opset=17)
    (folder / "digits.onnx").write_bytes(onnx_model.SerializeToString())
    return float(accuracy_score(y_test, model.predict(x_test / 16.0)))


def shout(folder: Path) -> float:
    """A model written by hand."""
    (folder / "shout").mkdir(exist_ok=True)
    (folder / "shout/model.py").write_text(SHOUT)
    (folder / "shout/model.yaml").write_text(SHOUT_CONFIG)
    return 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo's models.")
    parser.add_argument("folder", type=Path, help="where the models go; made if it is not there")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for train in (iris, cancer, diabetes, digits, shout):
        print(f"  {train.__name__:10} {train(folder):.3f}   {train.__doc__}")


if __name__ == "__main__":
    main()
