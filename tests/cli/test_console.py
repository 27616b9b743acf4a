from __future__ import annotations

import json
import logging

import pytest

from shoal.cli.console import LineFormatter, predict_options


def example(datatype: str, shape: list[int], data: list[object]) -> str:
    return json.dumps({"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": data}]})


@pytest.mark.parametrize(
    ("request_text", "options"),
    [
        (example("FP32", [1, 2], [1.5, 2]), "--data '[[1.5, 2]]'"),
        (example("FP32", [2, 1, 2], [1, 2, 3, 4]), "--data '[[[1, 2]], [[3, 4]]]'"),
        (example("INT64", [2], [1, 2]), "--data '[1, 2]'"),
        (example("BYTES", [2], ["it's", "b"]), """--text 'it'"'"'s' --text b"""),
    ],
)
def test_an_example_becomes_a_command(request_text: str, options: str) -> None:
    assert predict_options(request_text) == options


def test_log_lines_are_plain_when_piped_and_coloured_on_a_terminal() -> None:
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "model failed", (), None)
    record.model, record.version = "iris", ""
    plain = LineFormatter(colour=False).format(record)
    assert plain.endswith("ERROR   model failed  model=iris")
    assert LineFormatter(colour=True).format(record).startswith("\x1b[31m")
