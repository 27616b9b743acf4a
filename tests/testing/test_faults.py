from __future__ import annotations

import numpy as np
import pytest

from shoal.core.types import ItemError
from shoal.testing.faults import CODES, FaultArrays, FaultModel, OracleModel, oracle


def test_the_harmless_are_answered_in_order() -> None:
    assert FaultModel().predict_all(["a", "b:c"]) == ["ok:a", "ok:b:c"]


def test_faults_are_chosen_by_the_text() -> None:
    model = FaultModel()
    with pytest.raises(ValueError, match="no"):
        model.predict_all(["a", "raise:no"])
    assert model.predict_all(["item:bad"]) == [ItemError("bad")]
    assert len(model.predict_all(["a", "b", "count:-1"])) == 2
    assert len(model.predict_all(["a", "count:2"])) == 4


def test_a_fault_while_loading_is_a_parameter() -> None:
    model = FaultModel()
    model.parameters = {"load": "raise"}
    with pytest.raises(ValueError, match="asked"):
        model.load()


def test_arrays_misbehave_by_code() -> None:
    model = FaultArrays()
    assert model.predict({"x": np.array([[1.0], [2.0]])})["y"].tolist() == [[2.0], [4.0]]
    assert np.isnan(model.predict({"x": np.array([[1.0], [CODES["nan"]]])})["y"]).tolist() == [[False], [True]]
    assert len(model.predict({"x": np.array([[1.0], [CODES["short"]]])})["y"]) == 1


def test_an_oracle_tells_versions_inputs_and_nonces_apart() -> None:
    model = OracleModel()
    model.version, model.parameters = "3", {"nonce": "n"}
    assert model.predict_all(["a"]) == [oracle("a", "3", "n")]
    assert len({oracle("a", "1"), oracle("b", "1"), oracle("a", "2"), oracle("a", "1", "n")}) == 4
