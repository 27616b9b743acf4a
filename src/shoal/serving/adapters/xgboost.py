"""The runtime `xgboost`: a booster in `.ubj` or `.json`; no code in either.

One FP32 matrix `inputs` of shape `[rows, n]`, or a column per feature name; the output `predict` is what the booster
gives: values, probabilities, or `[rows, classes]`. With early stopping, the best iteration's trees are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xgboost

from shoal.core.errors import ConfigError
from shoal.core.formats import locate
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.tables import matrix_of, probe_outputs


class XGBoost(TypedAdapter):
    platform = "xgboost"

    def load(self) -> None:
        file = locate(Path(self.spec.path), "xgboost")
        try:
            self.booster = xgboost.Booster({"nthread": self.spec.limits.threads}, model_file=str(file))
        except xgboost.core.XGBoostError as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{file.name} is no XGBoost model that can be read: {reason}") from error
        self._names = tuple(self.booster.feature_names or ())
        self._width = int(self.booster.num_features())
        best = self.booster.attr("best_iteration")
        self._trees = (0, int(best) + 1) if best is not None else (0, 0)
        self._inplace = '"name":"gblinear"' not in self.booster.save_config()

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        rows = matrix_of(inputs, self._width, self._names)
        if self._inplace:
            values = self.booster.inplace_predict(rows, iteration_range=self._trees, validate_features=False)
        else:
            data = xgboost.DMatrix(rows, nthread=self.spec.limits.threads)
            values = self.booster.predict(data, iteration_range=self._trees, validate_features=False)
        return {"predict": values}

    def signature(self) -> Signature:
        example = {"inputs": np.zeros((1, self._width), dtype=np.float32)}
        return Signature((TensorSpec("inputs", "FP32", (-1, self._width)),), probe_outputs(self.predict, example))

    def accepts(self, names: Sequence[str]) -> bool:
        return bool(self._names) and set(names) == set(self._names)
