"""Trains the iris classifier with the scikit-learn of the environment that runs this, and stores it as joblib."""

from __future__ import annotations

import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, labels = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500, random_state=0).fit(rows, labels), sys.argv[1])
