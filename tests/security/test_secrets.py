"""Secrets of a node and of a control: in no log, no argument, no error, no page and no worker, whatever goes wrong."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shoal.cli.console import LineFormatter
from shoal.core.errors import ConfigError, Unavailable
from shoal.testing.node import RunningNode, serve
from support.controls import clean

CANARY = "canary"
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "AZURE_STORAGE_ACCOUNT_KEY": "canary-azure",
    "SHOAL_KEY": "canary-key",
    "SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary-db@db.invalid/shoal",
    "DATABASE_URL": "postgresql://shoal:canary-url@db.invalid/shoal",
    "MLFLOW_TRACKING_PASSWORD": "canary-mlflow",
    "MLFLOW_TRACKING_URI": "http://user:canary-uri@ml.invalid/",
    "HF_TOKEN": "canary-hf",
    "PIP_INDEX_URL": "https://user:canary-pip@index.invalid/",
    "OPENAI_API_KEY": "canary-openai",
}
MODEL = """
import json, os
from shoal import Model

class Telling(Model):
    def predict_all(self, inputs):
        if "raise" in inputs:
            raise RuntimeError(f"cannot reach postgresql://u:canary-model@db/x, with {dict(os.environ)}")
        if "crash" in inputs:
            print("crashing with redis://:canary-output@cache/0", flush=True)
            os.abort()
        return [json.dumps(dict(os.environ)) for _ in inputs]
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("models") / "telling"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    with serve(folder.parent, environment=ENVIRONMENT) as running:
        yield running


def tree(pid: int) -> list[int]:
    """A process and all that come from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


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
    bombs = [pickle.dumps(Bomb(made), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
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


@pytest.mark.process
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary@127.0.0.1:1/shoal?connect_timeout=1"}, ()),
        ({"SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary@[bad/shoal"}, ()),
        ({"SHOAL_CONTROL_REGISTRY": "oracle://shoal:canary@127.0.0.1:1/shoal"}, ()),
        ({"SHOAL_CONTROL_ARTIFACTS": "s3://user:canary@bucket/prefix"}, ()),
        ({"SHOAL_CONTROL_ARTIFACTS": "s3://bucket/x?endpoint=http://user:canary@127.0.0.1:1&region=x"}, ()),
        ({}, ("--registry", "postgresql://shoal:canary@127.0.0.1:1/shoal")),
        ({}, ("--config", "control.yaml")),
    ],
)
def test_a_control_that_cannot_start_does_not_say_why_with_its_password(
    tmp_path: Path, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    (tmp_path / "control.yaml").write_text("registry: [postgresql://shoal:canary@127.0.0.1:1/shoal\n")
    environment = clean({"SHOAL_HOME": str(tmp_path / "home"), **variables})
    command = [sys.executable, "-m", "shoal", "control", "--port", "0", "--log-level", "debug", *words]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=50)
    assert ended.returncode != 0
    assert "error" in ended.stderr
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
