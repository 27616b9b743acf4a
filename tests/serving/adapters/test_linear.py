"""Linear models as arithmetic: the same answers as scikit-learn's, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron, Ridge, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from shoal.serving.adapters.linear import arithmetic

RANDOM = np.random.default_rng(1)
ROWS = RANDOM.normal(size=(60, 3))
THREE = np.arange(60) % 3
TWO = np.array(["no", "yes"])[np.arange(60) % 2]

FITTED = {
    "logistic": LogisticRegression().fit(ROWS, THREE),
    "binary": LogisticRegression().fit(ROWS, TWO),
    "perceptron": Perceptron().fit(ROWS, THREE),
    "svc": LinearSVC().fit(ROWS, TWO),
    "sgd": SGDClassifier().fit(ROWS, THREE),
    "regression": LinearRegression().fit(ROWS, ROWS[:, 0] + THREE),
    "ridge": Ridge().fit(ROWS, np.stack([THREE, ROWS[:, 1]], axis=1)),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, THREE),
    "centred": make_pipeline(StandardScaler(with_std=False), StandardScaler(with_mean=False), Ridge()).fit(ROWS, THREE),
}


class Careful(LogisticRegression):
    """An author's own idea of an answer."""

    def predict(self, X: Any) -> Any:
        return super().predict(X) + 1


class Offset:
    """Something that adds up to another answer each time."""

    def __init__(self, intercept: Any) -> None:
        self._value = intercept

    def __radd__(self, other: Any) -> Any:
        self._value = -self._value
        return other + self._value * 1000

    __array_ufunc__ = None


@given(st.sampled_from(sorted(FITTED)), st.integers(1, 40), st.integers(0, 1000))
def test_answers_are_those_of_the_model(name: str, rows: int, seed: int) -> None:
    model = FITTED[name]
    function = arithmetic(model, "predict", 3)
    assert function is not None
    some = np.random.default_rng(seed).normal(size=(rows, 3)) * 10.0 ** (seed % 7 - 3)
    expected = model.predict(some)
    assert function(some).dtype == expected.dtype
    np.testing.assert_array_equal(function(some), expected)


@pytest.mark.parametrize("name", ["logistic", "binary", "scaled"])
@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_other_methods_agree_too(name: str, method: str) -> None:
    function = arithmetic(FITTED[name], method, 3)
    assert function is not None
    np.testing.assert_array_equal(function(ROWS), getattr(FITTED[name], method)(ROWS))


def test_rows_are_left_as_they_are() -> None:
    rows = ROWS.copy()
    function = arithmetic(FITTED["scaled"], "predict", 3)
    assert function is not None
    function(rows)
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (GaussianNB().fit(ROWS, THREE), "predict"),
        (Careful().fit(ROWS, THREE), "predict"),
        (LogisticRegression(), "predict"),
        (FITTED["logistic"], "predict_log_proba"),
        (make_pipeline(PCA(2), LogisticRegression()).fit(ROWS, THREE), "predict"),
        (make_pipeline(StandardScaler(), GaussianNB()).fit(ROWS, THREE), "predict"),
    ],
)
def test_what_it_does_not_know_is_left_to_the_model(model: Any, method: str) -> None:
    assert arithmetic(model, method, 3) is None


def test_a_method_that_was_replaced_on_the_object_is_left_to_it() -> None:
    model = LogisticRegression().fit(ROWS, THREE)
    model.predict = lambda rows: np.zeros(len(rows))
    assert arithmetic(model, "predict", 3) is None


def test_a_model_that_answers_otherwise_is_asked_itself() -> None:
    model = LogisticRegression().fit(ROWS, THREE)
    model.coef_ = model.coef_.astype(np.float32)
    model.intercept_ = Offset(model.intercept_)
    assert arithmetic(model, "predict", 3) is None
