"""`shoal serve` as a user meets it: what is wrong is said in one sentence, what is right goes on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import trustme

from shoal.testing.node import RunningNode, serve

pytestmark = [pytest.mark.process, pytest.mark.timeout(90)]

ECHO = """
class Echo:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return ["{word}:" + text for text in inputs]
"""


def echo_model(folder: Path, name: str, word: str = "echo") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "model.py").write_text(ECHO.format(word=word))


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shoal", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def ask(node: RunningNode, model: str, text: str = "x") -> requests.Response:
    return requests.post(f"{node.url}/v2/models/{model}/predict_all", json={"inputs": [text]}, timeout=10)


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    seen = run(tmp_path / "nothing.onnx", "--port", "0")
    assert seen.returncode == 2
    assert "nothing.onnx" in seen.stderr
    assert "Traceback" not in seen.stderr


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    seen = run(tmp_path, "--port", "0")
    assert seen.returncode == 2
    assert "no model file was found" in seen.stderr
    assert "hint:" in seen.stderr


def test_a_pickle_without_trust_says_how_to_trust_it(tmp_path: Path) -> None:
    (tmp_path / "mine.pkl").write_bytes(b"\x80\x04N.")
    seen = run(tmp_path / "mine.pkl", "--port", "0")
    assert seen.returncode == 2
    assert "--trust" in seen.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    echo_model(tmp_path, "echo")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        seen = run(tmp_path, "--trust", "--port", str(port))
    assert seen.returncode == 2
    assert f"127.0.0.1:{port} is already in use" in seen.stderr
    assert "Traceback" not in seen.stderr


def test_it_does_not_listen_to_the_world_without_being_told(tmp_path: Path) -> None:
    seen = run(tmp_path, "--host", "0.0.0.0")
    assert seen.returncode == 2
    assert "refusing to listen on 0.0.0.0" in seen.stderr


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "shoal.yaml").write_text("limits: {body_bites: 5}\n")
    seen = run(tmp_path, "--config", tmp_path / "shoal.yaml")
    assert seen.returncode == 2
    assert "body_bites" in seen.stderr


def test_one_bad_model_leaves_the_others_alone(tmp_path: Path) -> None:
    echo_model(tmp_path, "good")
    (tmp_path / "torn.onnx").write_bytes(b"\x08\x07this is no model")
    (tmp_path / "crash").mkdir()
    (tmp_path / "crash" / "model.py").write_text(
        "class M:\n    def predict_all(self, i): return i\n\nraise OSError('no disk')\n"
    )
    with serve(tmp_path) as node:
        assert ask(node, "good").json() == {"outputs": ["echo:x"]}
        for name in ("torn", "crash"):
            answer = ask(node, name)
            assert answer.status_code in {404, 503}, answer.text
        index = requests.post(f"{node.url}/v2/repository/index", json={}, timeout=10).json()
        reasons = {entry["name"]: entry["reason"] for entry in index}
        assert "no disk" in reasons["crash"]
        assert requests.get(f"{node.url}/v2/health/ready", timeout=10).status_code == 200
        assert requests.get(f"{node.url}/v2/models/crash/ready", timeout=10).status_code == 503


def test_it_follows_its_files_under_watch(tmp_path: Path) -> None:
    echo_model(tmp_path, "one")
    with serve(tmp_path, arguments=["--watch"]) as node:
        echo_model(tmp_path, "two", "second")
        until(lambda: ask(node, "two").status_code == 200)
        echo_model(tmp_path, "one", "changed")
        until(lambda: ask(node, "one").json() == {"outputs": ["changed:x"]})
        (tmp_path / "one" / "model.py").write_text("this is not Python")
        until(lambda: "refused" in node.log())
        assert ask(node, "one").json() == {"outputs": ["changed:x"]}, "what was served goes on"
        shutil.rmtree(tmp_path / "two")
        until(lambda: ask(node, "two").status_code == 404)


def test_sigterm_finishes_what_was_accepted(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "model.py").write_text(
        "import time\n\nclass Slow:\n    def predict_all(self, inputs):\n        time.sleep(0.6)\n        return inputs\n"
    )
    with serve(tmp_path) as node:
        body = b'{"inputs": ["kept"]}'
        with socket.create_connection(("127.0.0.1", node.port)) as client:
            client.sendall(
                b"POST /v2/models/slow/predict_all HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            time.sleep(0.2)
            node.process.send_signal(signal.SIGTERM)
            answer = client.makefile("rb").read()
        assert b'{"outputs":["kept"]}' in answer
        assert node.process.wait(timeout=10) == 0


def test_a_second_signal_is_final(tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "model.py").write_text(
        "import time\n\nclass Slow:\n    def predict_all(self, inputs):\n        time.sleep(30)\n        return inputs\n"
    )
    with serve(tmp_path) as node, socket.create_connection(("127.0.0.1", node.port)) as client:
        client.sendall(
            b'POST /v2/models/slow/predict_all HTTP/1.1\r\nhost: x\r\ncontent-length: 15\r\n\r\n{"inputs":[""]}'
        )
        time.sleep(0.2)
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(timeout=5) == 128 + signal.SIGTERM


def test_tls_speaks_both_protocols(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    chain, key, roots = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "roots.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    authority.cert_pem.write_to_path(roots)
    models = tmp_path / "models"
    models.mkdir()
    echo_model(models, "echo")
    with serve(models, arguments=["--tls-cert", str(chain), "--tls-key", str(key)]) as node:
        assert node.url.startswith("https://")
        body = {"inputs": ["x"]}
        url = f"{node.url}/v2/models/echo/predict_all"
        assert requests.post(url, json=body, verify=str(roots), timeout=10).json() == {"outputs": ["echo:x"]}
        context = ssl.create_default_context(cafile=str(roots))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", node.port))
        with plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
            assert wrapped.selected_alpn_protocol() == "h2"
            assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_full_custom_app_lives_behind_the_same_port(tmp_path: Path) -> None:
    echo_model(tmp_path, "mixed")
    (tmp_path / "mixed" / "model.yaml").write_text("implementation: model:Echo\ntrust: code\napp: web:app\n")
    (tmp_path / "mixed" / "web.py").write_text(
        "import os\n\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        "@app.get('/pid')\ndef pid():\n    return os.getpid()\n\n\n@app.get('/die')\ndef die():\n    os._exit(3)\n"
    )
    with serve(tmp_path) as node:
        url = f"{node.url}/models/mixed/app"
        until(lambda: requests.get(f"{url}/pid", timeout=10).status_code == 200)
        first = requests.get(f"{url}/pid", timeout=10).json()
        assert first != node.process.pid
        assert ask(node, "mixed").json() == {"outputs": ["echo:x"]}
        assert requests.get(f"{url}/die", timeout=10).status_code in {502, 503}
        until(lambda: requests.get(f"{url}/pid", timeout=10).status_code == 200)
        assert requests.get(f"{url}/pid", timeout=10).json() != first
        assert requests.get(f"{node.url}/v2/models/mixed/ready", timeout=10).status_code == 200
    assert not Path(f"/proc/{first}").exists()


def test_without_rest_only_grpc_and_operations_are_answered(tmp_path: Path) -> None:
    echo_model(tmp_path, "echo")
    with serve(tmp_path, environment={"SHOAL_REST": "false"}) as node:
        assert ask(node, "echo").status_code == 404
        assert requests.get(f"{node.url}/v2/health/ready", timeout=10).status_code == 200
        assert "shoal_requests_total" in requests.get(f"{node.url}/metrics", timeout=10).text
        with node.client("grpc") as client:
            assert client.predict_all("echo", ["x"]) == ["echo:x"]


def test_a_slow_protobuf_is_refused(tmp_path: Path) -> None:
    echo_model(tmp_path, "echo")
    command = [sys.executable, "-m", "shoal", "serve", str(tmp_path), "--trust", "--port", "0"]
    slow = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    seen = subprocess.run(command, env=slow, capture_output=True, text=True, timeout=60)
    assert seen.returncode == 2
    assert "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION" in seen.stderr


def test_settings_come_from_file_environment_and_command_line(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    echo_model(models, "echo")
    (tmp_path / "shoal.yaml").write_text("trust: true\nlimits: {body_bytes: 100000}\n")
    options = ["--config", str(tmp_path / "shoal.yaml"), "--workers", "2"]
    with serve(models, trust=False, arguments=options, environment={"SHOAL_LIMITS__BODY_BYTES": "1000"}) as node:
        assert ask(node, "echo", "y" * 500).status_code == 200
        assert ask(node, "echo", "y" * 2000).status_code == 413
        assert os.path.exists(f"/proc/{node.process.pid}")
