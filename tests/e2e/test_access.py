"""A node that asks for keys, as callers and operators meet it."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from shoal.client import Client
from shoal.client.control import ControlClient
from shoal.core import keys
from shoal.core.access import Grant, KeyRecord
from shoal.core.errors import NotFound, PermissionDenied, Unauthenticated
from shoal.core.keyring import KeyRequest
from shoal.core.settings.keys_file import add_key
from shoal.testing.node import RunningNode, serve
from support.tools import needs

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

ECHO = """
class Echo:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return inputs
"""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait for it; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, "it has not come about"
        time.sleep(0.02)
    return time.monotonic() - started


class Keys:
    """A keys file, and the texts of its keys by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}

    def add(self, name: str, role: str, model: str = "*") -> str:
        key = keys.generate()
        grants = (Grant((role,), "default", model),)
        add_key(self.path, KeyRecord(id=key.id, name=name, sha256=keys.digest(key.text), grants=grants))
        self.texts[name] = key.text
        return key.text


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys") / "keys.yaml")
    made.add("app", "caller", "echo")
    made.add("watcher", "viewer")
    return made


@pytest.fixture(scope="module")
def node(held: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("models")
    for name in ("echo", "other"):
        (folder / name).mkdir()
        (folder / name / "model.py").write_text(ECHO)
    with serve(folder, environment={"SHOAL_AUTH__KEYS_FILE": str(held.path), "SHOAL_API_KEY": ""}) as running:
        yield running


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_client_is_known_by_its_key(node: RunningNode, held: Keys, protocol: str) -> None:
    with Client(node.url, protocol=protocol, key=held.texts["app"]) as client:
        assert client.predict_all("echo", ["a"]) == ["a"]
        with pytest.raises(NotFound):
            client.predict_all("other", ["a"])
        assert [each.name for each in client.models()] == ["echo"]
    with Client(node.url, protocol=protocol, key=held.texts["watcher"]) as client:
        with pytest.raises(PermissionDenied):
            client.predict_all("echo", ["a"])
        assert {each.name for each in client.models()} == {"echo", "other"}
    with Client(node.url, protocol=protocol, key="") as client:
        assert client.live()
        assert client.ready()
        with pytest.raises(Unauthenticated):
            client.predict_all("echo", ["a"])


def test_a_client_takes_the_key_of_the_environment(
    node: RunningNode, held: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_API_KEY", held.texts["app"])
    with Client(node.url) as client:
        assert client.predict_all("echo", ["a"]) == ["a"]


def test_commands_send_the_key_of_the_environment_or_of_a_file(node: RunningNode, held: Keys, tmp_path: Path) -> None:
    def shoal(*arguments: str, key: str = "") -> tuple[int, str]:
        environment = {**os.environ, "SHOAL_API_KEY": key, "SHOAL_URL": node.url}
        command = [sys.executable, "-m", "shoal", *arguments]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        return seen.returncode, seen.stdout + seen.stderr

    predict = ("predict", "echo", "--text", "hello")
    code, said = shoal(*predict, key=held.texts["app"])
    assert (code, "hello" in said) == (0, True), said
    code, said = shoal(*predict)
    assert (code, "this needs an API key" in said) == (1, True), said
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(held.texts["watcher"] + "\n")
    code, said = shoal("--key-file", str(file), "why", "echo")
    assert (code, "READY" in said) == (0, True), said


def test_a_browser_is_asked_for_a_password_and_the_key_is_one(node: RunningNode, held: Keys) -> None:
    page = {"accept": "text/html"}
    asked = requests.get(f"{node.url}/docs", headers=page, timeout=10)
    assert asked.status_code == 401
    assert "Basic" in asked.headers["www-authenticate"]
    shown = requests.get(f"{node.url}/docs", headers=page, auth=("me", held.texts["watcher"]), timeout=10)
    assert shown.status_code == 200
    sent = requests.post(
        f"{node.url}/v2/models/echo/predict_all",
        json={"inputs": ["a"]},
        headers={"sec-fetch-site": "cross-site"},
        auth=("me", held.texts["app"]),
        timeout=10,
    )
    assert sent.status_code == 401


def test_it_listens_on_this_machine_alone_and_says_that_it_asks(node: RunningNode) -> None:
    listening = subprocess.run([needs("ss"), "-ltnp"], capture_output=True, text=True, timeout=10).stdout
    mine = [line.split()[3] for line in listening.splitlines() if f"pid={node.process.pid}," in line]
    assert mine
    assert {address.rpartition(":")[0] for address in mine} == {"127.0.0.1"}
    assert len(re.findall(r"authentication is on", node.log())) == 1


def test_a_keys_file_for_everybody_stops_the_start(tmp_path: Path, held: Keys) -> None:
    (tmp_path / "echo").mkdir()
    (tmp_path / "echo/model.py").write_text(ECHO)
    file = tmp_path / "keys.yaml"
    file.write_bytes(held.path.read_bytes())
    file.chmod(0o644)
    environment = {**os.environ, "SHOAL_AUTH__KEYS_FILE": str(file)}
    command = [sys.executable, "-m", "shoal", "serve", str(tmp_path / "echo"), "--trust", "--port", "0"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert seen.returncode == 2
    assert "chmod 600" in seen.stderr
    assert "Traceback" not in seen.stderr


def test_no_key_is_in_the_log_or_in_the_metrics(node: RunningNode, held: Keys) -> None:
    for text in held.texts.values():
        requests.get(f"{node.url}/v2/models", headers={"authorization": f"Bearer {text}"}, timeout=10)
        assert text.split("_")[2] not in node.log()


def status_from(source: str, node: RunningNode, text: str) -> tuple[int, str | None]:
    """Status and Retry-After of a request from one of this machine's addresses."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10, source_address=(source, 0))
    try:
        connection.request("GET", "/v2/models", headers={"x-api-key": text})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["retry-after"]
    finally:
        connection.close()


def test_wrong_keys_from_an_address_are_held_up_and_those_who_are_known_there_are_not(
    node: RunningNode, held: Keys
) -> None:
    there = "127.0.0.2"
    assert status_from(there, node, held.texts["app"])[0] == 200
    until(lambda: status_from(there, node, keys.generate().text)[0] == 429)
    status, retry_after = status_from(there, node, keys.generate().text)
    assert status == 429
    assert int(retry_after or 0) >= 1
    assert status_from(there, node, held.texts["app"])[0] == 200
    assert status_from("127.0.0.3", node, keys.generate().text)[0] == 401


def test_a_key_that_is_taken_out_is_refused_within_five_seconds(node: RunningNode, held: Keys) -> None:
    before = held.path.read_bytes()
    text = held.add("leaver", "caller")
    until(lambda: status_from("127.0.0.4", node, text)[0] == 200)
    held.path.write_bytes(before)
    assert until(lambda: status_from("127.0.0.4", node, text)[0] == 401) < 5.0
    assert status_from("127.0.0.5", node, held.texts["watcher"])[0] == 200


def test_keys_of_control_count_at_the_data_port_within_seconds_and_when_control_is_dead(tmp_path: Path) -> None:
    def status(node: RunningNode, text: str = "") -> int:
        headers = {"x-api-key": text} if text else {}
        return requests.get(f"{node.url}/v2/models", headers=headers, timeout=10).status_code

    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with serve(home=home, environment={"SHOAL_API_KEY": ""}) as node:
        assert status(node) == 200
        with node.control() as control:
            everywhere = Grant(("admin",), "*")
            root = control.create_key(KeyRequest(name="root", grants=(everywhere,))).key
        assert until(lambda: status(node) == 401) < 5.0
        assert status(node, root) == 200
        with ControlClient(node.control_url, key=root) as control:
            made = control.create_key(KeyRequest(name="app", grants=(Grant(("caller",)),)))
            assert until(lambda: status(node, made.key) == 200) < 5.0
            control.revoke_key(made.entry.id)
        assert until(lambda: status(node, made.key) == 401) < 5.0
    nowhere = ("--control", "http://127.0.0.1:1")
    assert root.split("_")[2] not in (home / "access.json").read_text()
    with serve(home=home, arguments=nowhere, environment={"SHOAL_API_KEY": ""}) as node:
        assert (status(node), status(node, root), status(node, made.key)) == (401, 200, 401)
