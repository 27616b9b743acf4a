"""`shoal predict` against a small V2 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner, Result

from shoal.cli import predict
from shoal.cli.tables import read_table
from support.h2_server import H2Server, in_thread
from support.v2_server import v2_server

APP = typer.Typer()
predict.register(APP)
APP.callback()(lambda: None)


@pytest.fixture(scope="module")
def server() -> Iterator[H2Server]:
    with in_thread(v2_server()) as running:
        yield running


def run(server: H2Server, *arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(APP, ["predict", *arguments], input=input, env={"SHOAL_URL": server.url})


def test_rows_in_json_out(server: H2Server) -> None:
    result = run(server, "double", "--data", "[[1, 2], [3, 4.5]]")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "model_name": "double",
        "model_version": "1",
        "outputs": [{"name": "y", "datatype": "FP64", "shape": [2, 2], "data": [2.0, 4.0, 6.0, 9.0]}],
    }


def test_texts_in_texts_out(server: H2Server) -> None:
    result = run(server, "loud", "--text", "hello", "--text", "wörld")
    assert json.loads(result.stdout)["outputs"][0]["data"] == ["HELLO", "WöRLD"]


def test_standard_input_is_read_when_nothing_is_given(server: H2Server) -> None:
    result = run(server, "double", input="[[1, 2]]")
    assert json.loads(result.stdout)["outputs"][0]["data"] == [2.0, 4.0]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl", "json"])
def test_a_file_in_a_file_out_in_pieces_and_in_order(server: H2Server, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "in.csv", tmp_path / f"out.{suffix}"
    source.write_text("a,b\n" + "".join(f"{row},{-row}\n" for row in range(1000)))
    result = run(server, "double", "--input", str(source), "--output", str(target), "--batch-rows", "7")
    assert result.exit_code == 0, result.output
    if suffix == "json":
        values = json.loads(target.read_text())["outputs"][0]["data"]
        assert values == [float(value) for row in range(1000) for value in (2 * row, -2 * row)]
    else:
        table = read_table(target.read_bytes(), suffix)
        assert table["y_0"].tolist() == [2.0 * row for row in range(1000)]
        assert table["y_1"].tolist() == [-2.0 * row for row in range(1000)]
    if suffix == "parquet":
        assert pyarrow.parquet.read_table(target).column_names == ["y_0", "y_1"]


def test_a_terminal_gets_a_table(server: H2Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import shoal.cli.answers as answers

    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr(answers, "sys", type("sys", (), {"stdout": Terminal}))
    result = run(server, "double", "--data", "[[1, 2]]")
    assert "y_0" in result.stdout
    assert "double version 1: 1 rows" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nosuch", "--data", "[[1, 2]]"], 1, "there is no such model"),
        (["broken", "--data", "[[1, 2]]"], 1, "too busy"),
        (["double", "--data", "[["], 2, "--data: the input is not JSON"),
        (["double", "--data", "[[1, 2], [3]]"], 2, "rows of different lengths"),
        (["double", "--data", "[]"], 2, "holds no rows"),
        (["double", "--data", "[[1, 2]]", "--text", "x"], 2, "exclude each other"),
        (["double", "--input", "/nowhere.csv"], 2, "cannot read /nowhere.csv"),
        (["double", "--data", "[[1, 2]]", "--output", "/nowhere/y.csv"], 2, "cannot write"),
        (["double", "--data", "[[1, 2]]", "--url", "http://127.0.0.1:1"], 2, "cannot connect to http://127.0.0.1:1"),
        (["double", "--data", "[[1, 2]]", "--url", "ftp://x"], 2, "not the address"),
        (["double", "--data", "[[1, 2]]", "--timeout", "0"], 2, "timeout"),
        ([], 2, "Missing argument"),
    ],
)
def test_failures_are_a_sentence_and_a_code(server: H2Server, arguments: list[str], code: int, sentence: str) -> None:
    result = run(server, *arguments)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_the_request_id_and_the_hint_are_told(server: H2Server) -> None:
    assert "request id: r-7" in run(server, "nosuch", "--data", "[[1, 2]]").stderr
    assert "hint: come back" in run(server, "broken", "--data", "[[1, 2]]").stderr


def test_one_failed_piece_fails_the_whole(server: H2Server, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("a,b\n" + "1,2\n" * 100)
    result = run(server, "broken", "--input", str(source), "--batch-rows", "10")
    assert result.exit_code == 1
    assert "too busy" in result.stderr
