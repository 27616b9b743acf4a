"""Optional modules: hidden while a framework is imported, there afterwards."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from shoal.serving.adapters.lean import hidden


def test_a_module_is_missing_inside_and_there_afterwards() -> None:
    sys.modules.pop("this", None)
    with hidden("this"), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules


def test_what_is_imported_already_stays() -> None:
    with hidden("json"):
        assert importlib.import_module("json") is sys.modules["json"]


@pytest.mark.process
def test_the_runtime_of_scikit_learn_needs_no_pandas_and_takes_tables_all_the_same() -> None:
    code = """
import sys, numpy as np
from shoal.serving.adapters import sklearn
from sklearn.linear_model import LinearRegression
assert "pandas" not in sys.modules
import pandas as pd
table = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})
model = LinearRegression().fit(table, [1, 2])
assert list(model.feature_names_in_) == ["a", "b"]
assert np.allclose(model.predict(table), [1, 2])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
