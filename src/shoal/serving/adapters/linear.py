"""Linear models of scikit-learn, alone or behind scalers in a pipeline, as their arithmetic alone.

For small batches scikit-learn checks its input fifty times as long as it multiplies, and the decoder has checked it
before. So methods that are scikit-learn's own are done here on the fitted arrays. That is safe for two reasons: a class
that overrides a method is asked itself, and so is every model whose answers to made-up rows are not the same here, bit
for bit. The arrays are those of the model, not copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit  # type: ignore[import-untyped]

from shoal.serving.adapters.base import Array

Function = Callable[[Array], Array]

_BASE = "sklearn.linear_model._base."
_REGRESSIONS = (_BASE + "LinearModel", _BASE + "MultiOutputLinearModel", "sklearn.linear_model._ridge.Ridge")
_CLASSIFIER = _BASE + "LinearClassifierMixin"
_LOGISTIC = "sklearn.linear_model._logistic.LogisticRegression"
_SCALER = "sklearn.preprocessing._data.StandardScaler"
_PROBED_ROWS = 64


def arithmetic(estimator: Any, method: str, width: int) -> Function | None:
    """A method of a fitted estimator as a function of a finite FP64 matrix `[rows, width]`.

    Returns:
        The function; None if only the estimator itself knows how.
    """
    try:
        function = _pipeline(estimator, method) if _is(estimator, "sklearn.pipeline") else _linear(estimator, method)
    except (AttributeError, TypeError):  # not fitted, or of a version that keeps its arrays elsewhere
        return None
    return function if function is not None and _agree(getattr(estimator, method), function, width) else None


def _is(estimator: Any, module: str) -> bool:
    return type(estimator).__module__ == module


def _own(estimator: Any, method: str, *classes: str) -> bool:
    """Whether a method is the one that scikit-learn defines in one of these classes."""
    found = getattr(type(estimator), method, None)
    where = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    return method not in vars(estimator) and where in [f"{each}.{method}" for each in classes]


def _pipeline(pipeline: Any, method: str) -> Function | None:
    if type(pipeline).__name__ != "Pipeline":
        return None
    *steps, (_, last) = pipeline.steps
    scalers = [_scaler(step) for _, step in steps]
    function = _linear(last, method)
    if function is None or None in scalers:
        return None

    def run(rows: Array) -> Array:
        for scale in scalers:
            assert scale is not None
            rows = scale(rows)
        return function(rows)

    return run


def _scaler(step: Any) -> Function | None:
    if not _own(step, "transform", _SCALER):
        return None
    mean = step.mean_ if step.with_mean else 0.0
    scale = step.scale_ if step.with_std else 1.0
    return lambda rows: (rows - mean) / scale


def _linear(estimator: Any, method: str) -> Function | None:
    if method == "predict" and _own(estimator, "predict", *_REGRESSIONS):
        return _sums(estimator) if _own(estimator, "_decision_function", *_REGRESSIONS) else None
    if not _own(estimator, "decision_function", _CLASSIFIER):
        return None
    scores, classes = _scores(estimator), estimator.classes_
    if method == "decision_function":
        return scores
    if method == "predict" and _own(estimator, "predict", _CLASSIFIER):
        return lambda rows: classes.take(_best(scores(rows)), axis=0)
    if method == "predict_proba" and _own(estimator, method, _LOGISTIC):
        return lambda rows: _probabilities(scores(rows))
    return None


def _sums(estimator: Any) -> Function:
    weights, intercept = estimator.coef_.T, estimator.intercept_
    return lambda rows: rows @ weights + intercept


def _scores(estimator: Any) -> Function:
    sums = _sums(estimator)

    def run(rows: Array) -> Array:
        scores = sums(rows)
        return scores.reshape(-1) if scores.ndim > 1 and scores.shape[1] == 1 else scores

    return run


def _best(scores: Array) -> Array:
    return (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)


def _probabilities(scores: Array) -> Array:
    if scores.ndim == 1:
        second: Array = expit(scores)
        return np.stack((1 - second, second), axis=1)
    powers: Array = np.exp(scores - scores.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _agree(method: Callable[[Array], Any], function: Function, width: int) -> bool:
    """Whether both give the same answers, bit for bit, to rows of small and of large numbers, together and alone."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(_PROBED_ROWS, width)) * 10.0 ** random.integers(-2, 4, size=(_PROBED_ROWS, 1))
    for some in (rows, rows[:1]):
        try:
            expected, found = method(some), function(some)
        except Exception:  # noqa: BLE001 - whatever is odd about this model, it is asked itself
            return False
        alike = isinstance(expected, np.ndarray) and (expected.dtype, expected.shape) == (found.dtype, found.shape)
        if not alike or not np.array_equal(expected, found):
            return False
    return True
