"""Web addresses of pictures in, handwritten digits out: fetch, normalise, predict, format.

The pictures of a batch are fetched side by side; whatever is wrong with one of them is the error of that item alone.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import numpy as np
from fetching import fetch

from shoal import ImageCodec, ItemError, Model, Tensor
from shoal.core.errors import InvalidInput

SIDE = 8


class Digits(Model):
    def load(self) -> None:
        with np.load(self.path / "weights.npz", allow_pickle=False) as weights:
            self.coefficients, self.intercepts = weights["coefficients"], weights["intercepts"]
        self.hosts = frozenset(self.parameters["hosts"])
        self.threads = ThreadPoolExecutor(8)

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        pictures = list(self.threads.map(self.picture, inputs))
        good = [each for each in pictures if isinstance(each, np.ndarray)]
        labels = iter(self.label(np.stack(good)) if good else [])
        return [next(labels) if isinstance(each, np.ndarray) else each for each in pictures]

    def picture(self, url: str) -> np.ndarray | ItemError:
        """The picture at an address as 64 grey values from 0 (white) to 1 (ink)."""
        try:
            tensor = Tensor(url, [1], "BYTES", [fetch(url, self.hosts)])
            image = ImageCodec.decode(tensor)[0].convert("L").resize((SIDE, SIDE))
        except (OSError, HTTPException, ValueError, InvalidInput) as error:
            return ItemError(f"no picture from {url[:80]}: {error}")
        return 1.0 - np.asarray(image, dtype=np.float64).ravel() / 255.0

    def label(self, pixels: np.ndarray) -> list[str]:
        """One call of the model for all pictures; each answer as JSON text."""
        scores = pixels @ self.coefficients.T + self.intercepts
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return [json.dumps({"digit": int(row.argmax()), "probability": round(float(row.max()), 3)}) for row in shares]
