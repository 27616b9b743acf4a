"""`shoal keys` and `shoal audit`: from no keys to keys, without a server and with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.cli.keys import seconds_of
from shoal.cli.main import app
from shoal.client.control import ControlClient
from shoal.core import keys
from shoal.core.errors import ConfigError, Unauthenticated
from shoal.core.settings.keys_file import read_keys
from support.controls import control_process, listening, shoal

pytestmark = [pytest.mark.timeout(120)]

Run = Callable[..., str]

ADMIN = ("keys", "create", "root", "--role", "admin", "--namespace", "*")


def test_spans_of_time() -> None:
    assert [seconds_of(text) for text in ("", "30d", "12h", "15m", "9s")] == [0, 2_592_000, 43_200, 900, 9]
    for wrong in ("0d", "d", "-1d", "1w", "1 d", "1e9d"):
        with pytest.raises(ConfigError):
            seconds_of(wrong)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process: what it has printed, and what it said is wrong."""
    for name in ("SHOAL_API_KEY", "SHOAL_API_KEY_FILE", "SHOAL_CONTROL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, code: int = 0, key: str = "", file: str = "") -> str:
        environment = {"SHOAL_API_KEY": key or None, "SHOAL_API_KEY_FILE": file or None}
        seen = CliRunner().invoke(app, words, env=environment)
        assert seen.exit_code == code, f"{words}\n{seen.output}{seen.exception!r}"
        return seen.output

    return run


def test_keys_from_the_first_to_a_revoked_one(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "root.key"
    assert "administrator's" in run("keys", "create", "ci", "--role", "engineer", code=1)
    with listening(tmp_path / "home") as control:
        root = run(*ADMIN).strip()
        assert keys.parse(root)
        assert "API key" in run("models", code=1)
        told = json.loads(run("keys", "create", "ci", "--role", "engineer", "--expires", "30d", "--json", key=root))
        assert told["entry"]["expires"] > 0
        file.write_text(root + "\n")
        file.chmod(0o644)
        assert "chmod 600" in run("--key-file", str(file), "keys", "list", code=2)
        file.chmod(0o600)
        listed = run("--key-file", str(file), "keys", "list")
        assert "engineer on default" in listed
        assert keys.parse(root) in listed
        assert root not in listed
        assert "permission admin" in run("gc", code=1, key=told["key"])
        assert "revoked" in run("keys", "revoke", told["entry"]["id"], file=str(file))
        with ControlClient(control.url, key=told["key"]) as client, pytest.raises(Unauthenticated):
            client.models()
    assert "ci" not in run("keys", "list")
    assert "ci" in run("keys", "list", "--all")
    records = run("audit", "list")
    assert "POST /v1/gc" in records
    assert "denied" in records
    head = run("audit", "verify").rpartition("head")[2].strip()
    assert "as they were written" in run("audit", "verify", "--head", head)
    wrong = head[:-1] + ("0" if head[-1] != "0" else "1")
    assert "BROKEN" in run("audit", "verify", "--head", wrong, code=1)


def test_a_key_for_a_node_without_control(tmp_path: Path, run: Run) -> None:
    file = tmp_path / "keys.yaml"
    text = run("keys", "create", "app", "--role", "caller", "--file", str(file)).strip()
    assert [each.sha256 for each in read_keys(file).keys] == [keys.digest(text)]
    assert not (tmp_path / "home/registry.db").exists()
    assert "nonsense" in run("keys", "create", "app", "--role", "nonsense", "--file", str(file), code=2)


@pytest.mark.process
def test_a_control_that_runs_keeps_keys_out_of_its_log(tmp_path: Path) -> None:
    with control_process(tmp_path) as control:
        root = shoal(*ADMIN, home=tmp_path).strip()
        with ControlClient(control.url, key=root[:-1] + "7") as client, pytest.raises(Unauthenticated):
            client.models()
        assert shoal("models", home=tmp_path, SHOAL_API_KEY=root) is not None
        assert root not in (tmp_path / "log").read_text()
        assert root.encode() not in Path(f"/proc/{control.process.pid}/cmdline").read_bytes()
