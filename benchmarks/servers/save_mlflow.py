"""Stores the model in MLflow's format: `python save_mlflow.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import mlflow.pyfunc
import mlflow.sklearn
from loading import FOLDER, NAME, load


class ArrayModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context) -> None:
        self.model = load(NAME)

    def predict(self, context, model_input, params=None):
        return self.model(model_input)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if NAME == "iris":
        classifier = joblib.load(FOLDER / "iris.joblib")
        mlflow.sklearn.save_model(classifier, target, serialization_format="cloudpickle")
    else:
        mlflow.pyfunc.save_model(target, python_model=ArrayModel())
