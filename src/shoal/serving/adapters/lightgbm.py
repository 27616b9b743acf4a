"""The runtime `lightgbm`: a booster in text (`.txt`, `.lgb`); no code in it.

One FP64 matrix `inputs` of shape `[rows, n]`, or a column per feature name; the output `predict` is what the booster
gives: values, probabilities, or `[rows, classes]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightgbm
import numpy as np

from shoal.core.errors import ConfigError
from shoal.core.formats import locate
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.tables import matrix_of, probe_outputs


class LightGBM(TypedAdapter):
    platform = "lightgbm"

    def load(self) -> None:
        file = locate(Path(self.spec.path), "lightgbm")
        threads = self.spec.limits.threads
        if not _is_whole(file):
            raise ConfigError(f"{file.name} is no LightGBM model that can be read: it is cut short or not one")
        try:
            self.booster = lightgbm.Booster(model_file=str(file))
        except lightgbm.basic.LightGBMError as error:
            raise ConfigError(f"{file.name} is no LightGBM model that can be read: {error}") from error
        self._names = tuple(self.booster.feature_name())
        self._width = int(self.booster.num_feature())
        self._threads = threads

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        rows = matrix_of(inputs, self._width, self._names)
        return {"predict": self.booster.predict(rows, num_threads=self._threads)}

    def signature(self) -> Signature:
        example = {"inputs": np.zeros((1, self._width))}
        return Signature((TensorSpec("inputs", "FP64", (-1, self._width)),), probe_outputs(self.predict, example))

    def accepts(self, names: Sequence[str]) -> bool:
        return set(names) == set(self._names)


def _is_whole(file: Path) -> bool:
    """Whether a file has all the parts of a model: LightGBM reads one that is cut short for ever."""
    text = file.read_bytes()
    return all(mark in text for mark in (b"num_class=", b"feature_names=", b"tree_sizes=", b"end of trees"))
