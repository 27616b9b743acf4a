"""Serves this folder in a node of its own and asks it."""

from pathlib import Path

import pytest

from shoal.core.errors import ShoalError
from shoal.testing.node import serve

HERE = Path(__file__).parent


def test_dates_are_understood_and_others_fail_alone() -> None:
    with serve(HERE) as node, node.client() as client:
        assert client.predict_all("dates", ["2 May 2021", "31.12.1999"]) == ["2021-05-02", "1999-12-31"]
        with pytest.raises(ShoalError) as failed:
            client.predict_all("dates", ["2 May 2021", "soon"])
        assert "'soon'" in str(failed.value)
        assert client.predict_all("dates", ["2021-05-02"]) == ["2021-05-02"]
