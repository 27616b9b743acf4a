"""The runtime `sklearn`: estimators and pipelines of scikit-learn, or of anything that follows its API.

Files: `.skops` (checked types, no code), `.joblib`, `.pkl` (with trust). The input is one FP64 matrix `inputs` of shape
`[rows, n]`, or a column per feature name; pipelines that choose columns by name take only the latter, and text
vectorisers take BYTES. Outputs are the methods named by the parameter ``outputs``, by default `predict`.

Small batches spend their time in checks, so those of parameters are off, and that of finite numbers is off where the
decoder has refused NaN already. `n_jobs` of all parts is the model's thread limit: a pool per call costs milliseconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import TRUST_HINT, locate
from shoal.core.model import ModelSpec
from shoal.core.types import Signature, TensorSpec
from shoal.serving.adapters.base import Array, TypedAdapter
from shoal.serving.adapters.lean import hidden
from shoal.serving.adapters.pickles import load_pickle
from shoal.serving.adapters.tables import column_of, decode_texts, matrix_of, probe_outputs

with hidden("pandas"):  # which it only tries: 64 MB and a quarter of a second for models that never see a table
    import sklearn

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")
"""What the parameter ``outputs`` may name."""


class SKLearn(TypedAdapter):
    platform = "sklearn"

    def load(self) -> None:
        self.estimator = _read(self.spec)
        self._methods = [(name, self._method(name)) for name in self._output_names()]
        _limit_jobs(self.estimator, self.spec.limits.threads)
        self._finite = not self.spec.allow_nonfinite
        self._names = tuple(str(name) for name in getattr(self.estimator, "feature_names_in_", ()))
        self._width = int(getattr(self.estimator, "n_features_in_", 0))
        first = _first_step(self.estimator)
        self._takes_text = hasattr(first, "build_analyzer")
        self._texts = _text_columns(first) if self._names and hasattr(first, "transformers_") else None
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        rows = self._rows(inputs)
        sklearn.set_config(assume_finite=self._finite, skip_parameter_validation=True)
        return {name: _plain(method(rows)) for name, method in self._methods}

    def signature(self) -> Signature:
        inputs = self._inputs()
        example = {each.name: _example(each) for each in inputs}
        return Signature(inputs, probe_outputs(self.predict, example) if inputs else ())

    def accepts(self, names: Sequence[str]) -> bool:
        return bool(self._names) and set(names) == set(self._names)

    def _inputs(self) -> tuple[TensorSpec, ...]:
        if self._texts is not None:
            types = ("BYTES" if name in self._texts else "FP64" for name in self._names)
            return tuple(TensorSpec(name, kind, (-1,)) for name, kind in zip(self._names, types, strict=True))
        if self._takes_text:
            return (TensorSpec("inputs", "BYTES", (-1,)),)
        return (TensorSpec("inputs", "FP64", (-1, self._width)),) if self._width else ()

    def _rows(self, inputs: dict[str, Array]) -> Any:
        if self._texts is not None:
            return _frame(inputs, self._names)
        if self._takes_text and len(inputs) == 1:
            return decode_texts(next(iter(inputs.values())))
        return matrix_of(inputs, self._width, self._names)

    def _output_names(self) -> list[str]:
        wanted = self.spec.parameters.get("outputs")
        if wanted is None:
            return ["predict" if hasattr(self.estimator, "predict") else "transform"]
        return [str(each) for each in (wanted if isinstance(wanted, list) else [wanted])]

    def _method(self, name: str) -> Any:
        method = getattr(self.estimator, name, None) if name in METHODS else None
        if not callable(method):
            there = ", ".join(each for each in METHODS if hasattr(self.estimator, each))
            message = f"{type(self.estimator).__name__} has no output {name!r}"
            raise ConfigError(message, hint=f"it has: {there}", field="parameters.outputs")
        return method


def _read(spec: ModelSpec) -> Any:
    file = locate(Path(spec.path), "sklearn")
    if file.suffix.lower() != ".skops":
        return load_pickle(spec, file)
    return _read_skops(spec, file)


def _read_skops(spec: ModelSpec, file: Path) -> Any:
    try:
        import skops.io  # takes as long as scikit-learn itself, and pickles do not need it
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{file.name} needs skops, which is not installed", hint="pip install 'shoal[sklearn]'"
        ) from error
    try:
        unknown = skops.io.get_untrusted_types(file=file)
        if not unknown or spec.trust == "code":
            return skops.io.load(file, trusted=unknown)
    except Exception as error:
        raise ConfigError(f"{file.name} is no skops file that can be read: {error}") from error
    raise ConfigError(f"{file.name} holds types that are not known to be safe: {', '.join(unknown)}", hint=TRUST_HINT)


def _limit_jobs(estimator: Any, threads: int) -> None:
    """Set `n_jobs` of every part; parts that were left to their default are single already."""
    if not hasattr(estimator, "get_params"):
        return
    found = [name for name, value in estimator.get_params().items() if name.endswith("n_jobs") and value is not None]
    if found:
        estimator.set_params(**dict.fromkeys(found, threads))


def _first_step(estimator: Any) -> Any:
    steps = getattr(estimator, "steps", None)
    return _first_step(steps[0][1]) if steps else estimator


def _text_columns(transformer: Any) -> set[str]:
    """The columns of a `ColumnTransformer` that hold text, by the categories that their encoders have learnt."""
    found: set[str] = set()
    for _, part, columns in transformer.transformers_:
        last = part.steps[-1][1] if hasattr(part, "steps") else part
        names = [columns] if isinstance(columns, str) else list(columns)
        if hasattr(last, "build_analyzer"):
            found.update(names)
        for name, categories in zip(names, getattr(last, "categories_", ()), strict=False):
            if np.asarray(categories).dtype.kind in "OUS":
                found.add(str(name))
    return found


def _frame(inputs: Mapping[str, Array], names: Sequence[str]) -> Any:
    import pandas as pd

    missing = [name for name in names if name not in inputs]
    if missing:
        raise InvalidInput(f"inputs are missing: {', '.join(missing)}", field="inputs")
    return pd.DataFrame({name: _column(name, inputs[name]) for name in names})


def _column(name: str, array: Array) -> Any:
    column = column_of(name, array)
    return decode_texts(column) if column.dtype.kind == "O" else column


def _example(spec: TensorSpec) -> Array:
    shape = (1, *spec.shape[1:])
    if spec.datatype != "BYTES":
        return np.zeros(shape)
    example = np.empty(shape, dtype=np.object_)
    example[:] = b"a"
    return example


def _plain(value: Any) -> Array | Sequence[object]:
    """An answer as a dense array with the rows first."""
    if isinstance(value, list):  # several outputs: one array of [rows, classes] each
        return np.stack(value, axis=1)
    result: Array = value.toarray() if hasattr(value, "toarray") else np.asarray(value)
    return result
