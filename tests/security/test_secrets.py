"""Secrets of a node and of a control: in no log, no argument, no error, no page and no worker, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import httpx
import pytest

from shoal.cli.console import LineFormatter
from shoal.core.errors import ConfigError, Unavailable
from shoal.testing.node import RunningNode
from support.controls import clean
from support.processes import tree

CANARY = "canary"


def ask(node: RunningNode, *texts: str) -> str:
    answer = httpx.post(f"{node.url}/v2/models/telling/predict_all", json={"inputs": texts}, timeout=30)
    return answer.text


@pytest.mark.process
def test_a_worker_sees_no_secret_and_nobody_is_told_one(node: RunningNode) -> None:
    told = [ask(node, "tell"), ask(node, "raise"), ask(node, "crash")]
    paths = ["/", "/metrics", "/docs", "/openapi.json", "/v2", "/v2/models/stats", "/v2/models/telling/config",
             "/v2/models/telling/why", "/v2/models/telling/docs", "/nowhere", "/v2/models/nobody"]  # fmt: skip
    for path in paths:
        for headers in ({}, {"authorization": "Bearer canary-sent"}, {"x-api-key": "canary-sent"}):
            answer = httpx.get(node.url + path, headers=headers, timeout=30)
            told.append(f"{answer.headers} {answer.text}")
    ask(node, "tell")  # a worker is there again
    pids = tree(node.process.pid)
    assert len(pids) > 1
    for pid in pids[1:]:
        told.append(Path(f"/proc/{pid}/environ").read_text())
    told += [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids]
    told.append(node.log())
    assert [text for text in told if CANARY in text] == []
    assert "***" in node.log()


class Bomb:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.process
def test_a_pickle_is_loaded_by_nobody(node: RunningNode, tmp_path: Path) -> None:
    made = tmp_path / "made"
    bombs = [pickle.dumps(Bomb(made), protocol) for protocol in (0, 2, 5)]
    for bomb in bombs:
        for path in ("/v2/models/telling/infer", "/v2/models/telling/predict_all", "/v1/models/telling:predict"):
            for kind in ("application/json", "application/octet-stream", "application/x-python-pickle"):
                headers = {"content-type": kind, "inference-header-content-length": "0"}
                httpx.post(node.url + path, content=bomb, headers=headers, timeout=30)
        with socket.create_connection(("127.0.0.1", node.port)) as raw:
            raw.sendall(bomb)
            raw.shutdown(socket.SHUT_WR)
            raw.recv(65536)
    assert "canary" not in ask(node, "tell")
    assert not made.exists()
    pickle.loads(bombs[0])
    assert made.exists()  # it would have worked


STARTS: list[tuple[dict[str, str], list[str]]] = [
    ({"SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary@127.0.0.1:1/shoal?connect_timeout=1"}, []),
    ({"SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary@[bad/shoal"}, []),
    ({"SHOAL_CONTROL_REGISTRY": "oracle://shoal:canary@127.0.0.1:1/shoal"}, []),
    ({"SHOAL_CONTROL_ARTIFACTS": "s3://user:canary@bucket/prefix"}, []),
    ({"SHOAL_CONTROL_ARTIFACTS": "s3://bucket/x?endpoint=http://user:canary@127.0.0.1:1&region=x"}, []),
    ({}, ["--registry", "postgresql://shoal:canary@127.0.0.1:1/shoal"]),
    ({}, ["--config", "control.yaml"]),
]
"""Ways to start a control that cannot be started, each with a password: variables and arguments."""
DRIVER = """
import json, os, sys
from typer.testing import CliRunner
from shoal.cli.main import app
for variables, words in json.loads(sys.stdin.read()):
    given = ["control", "--port", "0", "--log-level", "debug", *words]
    ended = CliRunner().invoke(app, given, env=variables)
    print(json.dumps([ended.exit_code, ended.output, repr(ended.exception)]))
"""


@pytest.mark.process
def test_a_control_that_cannot_start_does_not_say_why_with_its_password(tmp_path: Path) -> None:
    (tmp_path / "control.yaml").write_text("registry: [postgresql://shoal:canary@127.0.0.1:1/shoal\n")
    environment = clean({"SHOAL_HOME": str(tmp_path / "home")})
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER],
        cwd=tmp_path,
        env=environment,
        input=json.dumps(STARTS),
        capture_output=True,
        text=True,
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(told) == len(STARTS), ended.stderr
    assert [each for each in told if each[0] == 0 or "error" not in each[1]] == []
    assert CANARY not in ended.stdout + ended.stderr


def test_what_a_library_says_in_a_trace_is_logged_without_passwords() -> None:
    with pytest.raises(Unavailable) as caught:
        _fail("postgresql://shoal:canary@db/shoal?password=canary")
    error = caught.value
    record = logging.makeLogRecord({"msg": "x", "exc_info": (type(error), error, error.__traceback__)})
    line = LineFormatter(colour=False).format(record)
    assert CANARY in "".join(traceback.format_exception(error))
    assert "OSError: could not connect to postgresql://***@db/shoal?password=***" in line
    assert CANARY not in f"{line} {error} {error!r} {error.to_record()}"


def _fail(url: str) -> None:
    try:
        raise OSError(f"could not connect to {url}")
    except OSError as error:
        raise Unavailable(f"the registry at {url} is gone") from error


def test_an_error_has_no_password_wherever_it_goes() -> None:
    error = ConfigError("http://a:canary@b is wrong", hint="try http://a:canary@c", field="x")
    assert CANARY not in f"{error} {error!r} {error.hint} {error.to_record()} {error.to_record().to_error()}"
