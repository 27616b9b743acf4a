"""Trains forests of about 50 KB on four numbers each, and stores them as joblib: `train_forests.py FOLDER COUNT`.

Forest number N answers something within 0.4 of N, so that its answer tells which it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import RandomForestRegressor

folder, count = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
for number in range(count):
    target = folder / f"{number}.joblib"
    if not target.exists():
        random = np.random.default_rng(number)
        rows, noise = random.random((300, 4)), random.random(300)
        forest = RandomForestRegressor(n_estimators=4, max_leaf_nodes=82, random_state=number, n_jobs=1)
        joblib.dump(forest.fit(rows, number + 0.8 * noise - 0.4), target)
