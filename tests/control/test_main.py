"""The control process: announced, alone on its home, ended by a signal, back after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.client.retry import Retries
from shoal.control.artifacts.http_source import HttpSource
from shoal.control.artifacts.retrying import Retry
from shoal.control.home import found
from shoal.control.main import running
from shoal.core.catalogue import NamespaceChange
from shoal.core.errors import ConfigError, Conflict, NotFound, Unavailable
from shoal.core.settings.control import ControlSettings
from support.certificates import Certificates
from support.controls import control_process, listening, shoal

SERVICE = "name: iris\nmodel: iris\nreplicas: {replicas}\n"


def test_a_port_that_is_taken_is_told_and_the_home_is_let_go(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ControlSettings(home=tmp_path, port=taken.getsockname()[1])
        for _ in range(2):
            with pytest.raises(ConfigError, match="cannot listen"), running(settings):
                pass


def test_a_second_control_of_the_home_is_refused_with_the_url_of_the_first(tmp_path: Path) -> None:
    with listening(tmp_path) as client:
        assert found(tmp_path) == client.url
        with pytest.raises(Conflict, match=client.url), running(ControlSettings(home=tmp_path, port=0)):
            pass
    assert found(tmp_path) == ""


def test_ipv6_loopback_is_listened_on(tmp_path: Path) -> None:
    with listening(tmp_path, host="::1") as client:
        assert "[::1]" in client.url
        assert client.ready().state == "ready"


def test_tls_lets_those_in_who_trust_it_and_can_prove_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Certificates(tmp_path)
    certificate, key = own.issue()
    mine, my_key = own.issue("node", "node.example")
    tls = {"tls_cert": certificate, "tls_key": key, "tls_client_ca": own.ca}
    monkeypatch.setenv("SHOAL_CA", str(own.ca))
    monkeypatch.setenv("SHOAL_CERT", str(mine))
    monkeypatch.setenv("SHOAL_CERT_KEY", str(my_key))
    with listening(tmp_path / "home", **tls) as client:
        assert client.url.startswith("https://")
        assert client.ready().state == "ready"
        own.issue()  # a new certificate: those who come later are shown it, this client stays
        assert client.ready().state == "ready"
        blobs = HttpSource(client.url, retry=Retry(attempts=1))
        with pytest.raises(NotFound):
            blobs.open("0" * 64)
        monkeypatch.delenv("SHOAL_CERT")
        with pytest.raises(Unavailable), ControlClient(client.url, retries=Retries(attempts=0)) as stranger:
            stranger.ready()
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="every user of this machine"), listening(tmp_path / "home", **tls):
        pass


def test_a_stop_does_not_wait_for_those_who_wait_for_changes(tmp_path: Path) -> None:
    told: list[int] = []
    with listening(tmp_path, grace_seconds=20.0) as client:
        waiting = threading.Thread(target=lambda: told.append(client.feed(0, wait=50).position))
        waiting.start()
        client.put_namespace("other", NamespaceChange())
        waiting.join(10)
        waiting = threading.Thread(target=lambda: told.append(client.feed(1, wait=50).position))
        waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()
    client.close()


def test_service_files_are_put_at_start_followed_and_a_bad_edit_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.control.following.EVERY_SECONDS", 0.01)
    files = tmp_path / "services"
    files.mkdir()
    (files / "iris.yaml").write_text(SERVICE.format(replicas=1))
    with listening(tmp_path / "home", services=files) as client:
        entry = client.service("default", "iris", "production")
        assert entry.service.replicas == 1
        position = client.feed(0).position
        (files / "iris.yaml").write_text(SERVICE.format(replicas="many"))
        (files / "iris2.yaml").write_text("name: rose\nmodel: rose\n")
        assert [change.name for change in client.feed(position, wait=20).changes] == ["rose"]
        assert client.service("default", "iris", "production") == entry
        (files / "iris.yaml").write_text(SERVICE.format(replicas=2))
        assert [change.name for change in client.feed(position + 1, wait=20).changes] == ["iris"]
        assert client.service("default", "iris", "production").service.replicas == 2


@pytest.mark.process
def test_it_is_announced_and_ends_gracefully(tmp_path: Path) -> None:
    with control_process(tmp_path) as control:
        announced = json.loads((tmp_path / "control.json").read_bytes())
        assert announced == {"url": control.url, "pid": control.process.pid}
        refused = shoal("control", "--port", "0", home=tmp_path, expected=[1])
        assert f"process {control.process.pid}" in refused
        assert control.url in refused
        assert control.stop() == 0
        assert not (tmp_path / "control.json").exists()
        assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.process
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    names = []
    for round_ in range(3):
        with control_process(tmp_path) as control, ControlClient(control.url) as client:
            assert [each.name for each in client.namespaces() if each.name != "default"] == names
            for number in range(5):
                names.append(client.put_namespace(f"n{round_}-{number}", NamespaceChange()).name)
            os.kill(control.process.pid, signal.SIGKILL)
            control.process.wait()


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "refusing to listen"),
        (("--registry", "nonsense://x"), "nonsense"),
        (("--artifacts", "ftp://x"), "ftp"),
        (("--config", "none.yaml"), "none.yaml"),
    ],
)
def test_what_is_wrong_stops_the_start_with_a_sentence(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    told = shoal("control", "--port", "0", *words, home=tmp_path, expected=[1, 2])
    assert said in told
    assert "Traceback" not in told
