"""Train a model that tells three kinds of wine apart, and say how it was made.

    python train.py build/wine.skops --strength 0.0005

The options that `shoal push` takes for lineage are printed, one line, so that what is registered is what was measured:
the data and its digest, the method, its parameters, and the accuracy on a quarter of the data held out.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import skops.io
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

DATASET = "sklearn/wine"


def train(strength: float) -> tuple[Pipeline, dict[str, float], str]:
    """The model, its metrics, and the digest of the data that it was made from."""
    x, y = datasets.load_wine(return_X_y=True)
    digest = hashlib.sha256(np.ascontiguousarray(x).tobytes() + y.astype("<i8").tobytes()).hexdigest()
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(x_train, y_train)
    accuracy = accuracy_score(y_test, model.predict(x_test))
    loss = log_loss(y_test, model.predict_proba(x_test))
    return model, {"accuracy": round(float(accuracy), 3), "log_loss": round(float(loss), 3)}, digest


def lineage(strength: float, metrics: dict[str, float], digest: str) -> str:
    """What `shoal push` is told."""
    words = [f"--dataset {DATASET}", f"--dataset-hash {digest[:16]}", "--method sklearn.LogisticRegression"]
    words += [f"--param C={strength:g}", *(f"--metric {name}={value:g}" for name, value in metrics.items())]
    return " ".join(words)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one version of the model.")
    parser.add_argument("file", type=Path, help="where the model goes")
    parser.add_argument("--strength", type=float, default=1.0, help="C of the regression: small ones learn little")
    options = parser.parse_args()
    model, metrics, digest = train(options.strength)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model, options.file)
    print(lineage(options.strength, metrics, digest))


if __name__ == "__main__":
    main()
