"""Asking a node and its control as any HTTP client does, and what their refusals must tell; a disk that is small."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shoal.testing.node import RunningNode
from support.tools import needs


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        body: its JSON; {} for none.
        headers: with names in lower case.
    """

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    def told(self, status: int, code: str, *words: str) -> None:
        """It is a refusal that names the culprit and says what to do next."""
        assert (self.status, self.body.get("code")) == (status, code), self
        text = f"{self.body['error']} | {self.body.get('hint', '')}"
        assert [word for word in words if word not in text] == [], text
        if status == 503:
            assert int(self.headers["retry-after"]) >= 1

    def hinted(self, *words: str) -> None:
        """The hint, which is what to do next."""
        assert self.body.get("hint"), self
        assert [word for word in words if word not in self.body["hint"]] == [], self


def ask(url: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    """One request; JSON in, JSON out."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return _answer(answer.status, answer.read(), answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.read(), error.headers)


def _answer(status: int, data: bytes, headers: Any) -> Answer:
    return Answer(status, json.loads(data or b"{}"), {name.lower(): value for name, value in headers.items()})


def predict(node: RunningNode, model: str, text: str = "x", version: str = "") -> Answer:
    """One request to a model that takes text, and no second try."""
    part = f"/versions/{version}" if version else ""
    url = f"{node.url}/v2/models/{urllib.parse.quote(model)}{part}/predict_all"
    return ask(url, "POST", {"inputs": [text]})


def why(node: RunningNode, model: str) -> str:
    """The node's own explanation, in one text."""
    return " | ".join(ask(f"{node.url}/v2/models/{urllib.parse.quote(model)}/why").body.get("why", []))


def metric(node: RunningNode, name: str) -> float:
    """The sum of all series of a metric."""
    with urllib.request.urlopen(f"{node.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own; only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder.mkdir()
    done = subprocess.run(
        [needs("mount"), "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([needs("umount"), "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Use up all the room that a disk has; the file to remove to give it back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as out:
        for size in (65536, 4096):
            try:
                while out.write(bytes(size)):
                    pass
            except OSError:
                continue
    return filler
