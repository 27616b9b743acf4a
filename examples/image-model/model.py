"""Web addresses of pictures in, handwritten digits out: fetch, normalise, predict, format.

The pictures of a batch are fetched side by side; whatever is wrong with one of them is the error of that item alone.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from shoal import Allow, ImageCodec, ItemError, Model
from shoal.core.errors import ShoalError

SIDE = 8


class Digits(Model):
    def load(self) -> None:
        with np.load(self.path / "weights.npz", allow_pickle=False) as weights:
            self.coefficients, self.intercepts = weights["coefficients"], weights["intercepts"]
        self.allow = Allow(
            hosts=tuple(self.parameters["hosts"]), private=True, max_bytes=4 * 1024 * 1024, seconds=2.0, hops=0
        )
        self.threads = ThreadPoolExecutor(8)

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        pictures = list(self.threads.map(self.picture, inputs))
        good = [each for each in pictures if isinstance(each, np.ndarray)]
        labels = iter(self.label(np.stack(good)) if good else [])
        return [next(labels) if isinstance(each, np.ndarray) else each for each in pictures]

    def picture(self, url: str) -> np.ndarray | ItemError:
        """The picture at an address as 64 grey values from 0 (white) to 1 (ink)."""
        try:
            image = ImageCodec.fetch(url, self.allow).convert("L").resize((SIDE, SIDE))
        except ShoalError as error:
            return ItemError(f"no picture from {url[:80]}: {error}")
        return 1.0 - np.asarray(image, dtype=np.float64).ravel() / 255.0

    def label(self, pixels: np.ndarray) -> list[str]:
        """One call of the model for all pictures; each answer as JSON text."""
        scores = pixels @ self.coefficients.T + self.intercepts
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return [json.dumps({"digit": int(row.argmax()), "probability": round(float(row.max()), 3)}) for row in shares]
