"""BentoML with one worker and its adaptive batching; its body is the bare array, which is the cheapest for it."""

from __future__ import annotations

import bentoml
import numpy as np
from loading import load

QUIET = {"access": {"enabled": False}}


@bentoml.service(workers=1, traffic={"timeout": 60}, logging=QUIET)
class Service:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api
    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model(x))

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
    def predict_batched(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model(x))
