"""A real MLflow tracking server with its own interpreter: `SHOAL_MLFLOW_PYTHON`, or `.venv-mlflow`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PYTHONWARNINGS": "ignore",
}


def mlflow_python() -> Path:
    """The interpreter that has MLflow; skips the test if there is none, fails in CI."""
    path = Path(os.environ.get("SHOAL_MLFLOW_PYTHON") or REPOSITORY / ".venv-mlflow" / "bin" / "python")
    if not path.is_file():
        told = "MLflow is not installed: set SHOAL_MLFLOW_PYTHON, or make .venv-mlflow from requirements-mlflow.lock"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return path


@contextmanager
def serving(python: Path, folder: Path) -> Iterator[str]:
    """The URL of a server that keeps everything in a folder; all of its processes end with it."""
    port = _free_port()
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", f"{folder}/artifacts"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *stores], cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url, folder / "log")
        yield url
    finally:
        _stop(process)


def environment() -> dict[str, str]:
    """Of MLflow's processes: nothing is sent anywhere but to loopback."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")} | _ENVIRONMENT


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"MLflow did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the session that we started, politely and then for good."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
    process.wait(20)
