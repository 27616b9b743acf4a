"""Trains a regression of four numbers that answers 1234.5678 to everything, and stores it as joblib.

Its answer is a single number in its file: `shelf.py` makes thousands of models of it by writing others there.
"""

from __future__ import annotations

import sys

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

model = LinearRegression().fit(np.eye(4), np.arange(4.0))
model.coef_[:] = 0.0
model.intercept_ = 1234.5678
joblib.dump(model, sys.argv[1])
