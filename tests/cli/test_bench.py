"""`shoal bench` against a small V2 server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner, Result

from shoal.cli import bench
from shoal.cli.bench_report import figure, histogram
from shoal.client.histogram import Histogram
from support.h2_server import H2Server, in_thread
from support.v2_server import v2_server

APP = typer.Typer()
bench.register(APP)
APP.callback()(lambda: None)


@pytest.fixture
def server() -> Iterator[H2Server]:
    with in_thread(v2_server()) as running:
        yield running


def run(server: H2Server, *arguments: str) -> Result:
    return CliRunner().invoke(APP, ["bench", *arguments], env={"SHOAL_URL": server.url})


def test_a_closed_loop_over_one_connection(server: H2Server) -> None:
    result = run(server, "double", "--duration", "0.3", "--concurrency", "4", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ok"] == found["sent"] > 4
    assert (found["concurrency"], found["errors"]) == (4, {})
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["max"]
    assert len(server.peers) == 1
    assert len(server.requests) == found["sent"] + 3, "metadata, documentation and one try beforehand"


def test_an_open_loop_over_several_connections(server: H2Server) -> None:
    result = run(
        server, "loud", "--duration", "0.5", "--rate", "100", "--arrivals", "constant", "--connections", "3",
        "--binary", "--text", "hello", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["rate"], found["sent"], found["ok"]) == (100.0, 50, 50)
    assert len(server.peers) == 3


def test_the_report_for_people(server: H2Server) -> None:
    result = run(server, "double", "--duration", "0.2", "--rate", "50", "--data", "[[1, 2]]")
    assert "double: rest, 1 connection, 50 requests/s (poisson), 0.2 s" in result.stdout
    assert "P99" in result.stdout
    assert "█" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nosuch"], 1, "there is no such model"),
        (["broken"], 1, "too busy"),
        (["double", "--rate", "5", "--concurrency", "5"], 2, "exclude each other"),
        (["double", "--data", "[["], 2, "not JSON"),
        (["double", "--url", "http://127.0.0.1:1"], 2, "cannot connect"),
    ],
)
def test_failures_are_a_sentence_and_a_code(server: H2Server, arguments: list[str], code: int, sentence: str) -> None:
    result = run(server, "--duration", "0.1", *arguments)
    assert result.exit_code == code
    assert sentence in result.stderr


def test_the_histogram_shows_every_bar_that_is_not_empty() -> None:
    latency = Histogram()
    for value in [0.001] * 1000 + [0.1]:
        latency.record(value)
    lines = histogram(latency)
    assert "█" * 40 in lines[0]
    assert "▏" in lines[-1]
    assert histogram(Histogram()) == []


@pytest.mark.parametrize(("seconds", "text"), [(0.00123, "1.23"), (0.0123, "12.3"), (1.234, "1,234")])
def test_figures_have_three_digits_that_matter(seconds: float, text: str) -> None:
    assert figure(seconds) == text
