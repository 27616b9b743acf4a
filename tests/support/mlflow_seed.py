"""Run by an interpreter that has MLflow: registers two versions at a tracking server, as a training job would.

The first is of an experiment whose artifacts the server keeps; the second of one that keeps them in a folder.
"""

from __future__ import annotations

import sys
import warnings

import mlflow
import mlflow.data
import pandas as pd
from sklearn.linear_model import LogisticRegression

FRAME = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
NAME = "iris model"


def train(experiment: str) -> None:
    """One run that logs and registers a model."""
    with mlflow.start_run(experiment_id=experiment):
        mlflow.log_params({"C": 1.5, "solver": "lbfgs", "fit_intercept": True})
        mlflow.log_metric("accuracy", 0.5)
        mlflow.log_metric("accuracy", 0.75)
        mlflow.log_metric("broken", float("nan"))
        mlflow.log_input(mlflow.data.from_pandas(FRAME, source="s3://data/x.csv", name="xs"), context="training")
        mlflow.set_tags(
            {"mlflow.source.git.commit": "abc123", "estimator_class": "sklearn.linear_model.LogisticRegression"}
        )
        model = LogisticRegression(C=1.5).fit(FRAME, [0, 0, 1, 1])
        options = {"input_example": FRAME.head(1), "pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.log_model(model, name="model", registered_model_name=NAME, **options)


def main(url: str, folder: str) -> None:
    """Register versions 1 and 2, and point an alias at the first."""
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    train(client.create_experiment("kept by the server"))
    train(client.create_experiment("kept in a folder", artifact_location=f"file://{folder}"))
    client.set_registered_model_alias(NAME, "champion", "1")
    client.update_model_version(NAME, "1", description="the first")
    client.set_model_version_tag(NAME, "1", "team", "a")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
