"""What is refused at start, and what is merely said."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.cli.main import app
from shoal.core.errors import ConfigError
from shoal.core.settings import safety
from shoal.core.settings.control import load_control_settings
from shoal.core.settings.node import load_node_settings
from shoal.core.settings.safety import Finding

SECRET = "postgresql://shoal:canary@db/shoal"


def test_a_settings_file_with_a_password_is_not_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    file.write_text(f"registry: {SECRET}\n")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="holds a password") as caught:
        load_control_settings(file, {}, {"home": tmp_path})
    assert "canary" not in str(caught.value)
    file.chmod(0o640)
    assert load_control_settings(file, {}, {"home": tmp_path}).registry == SECRET


def test_a_password_is_no_argument(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--registry holds a password") as caught:
        load_control_settings(None, {}, {"home": tmp_path, "registry": SECRET})
    assert "SHOAL_CONTROL_REGISTRY" in caught.value.hint
    environment = {"SHOAL_CONTROL_REGISTRY": SECRET}
    assert load_control_settings(None, environment, {"home": tmp_path}).registry == SECRET
    load_control_settings(None, {}, {"home": tmp_path, "registry": "postgresql://shoal@db/shoal"})


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    file.write_text(f"port: 1\nregistry: [{SECRET}\n")
    with pytest.raises(ConfigError, match=r"line \d") as caught:
        load_control_settings(file, {}, {})
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__}"


@pytest.mark.parametrize("load", [load_control_settings, load_node_settings])
def test_a_home_that_everybody_can_write_is_refused(tmp_path: Path, load) -> None:  # type: ignore[no-untyped-def]
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="can be written by every user"):
        load(None, {}, {"home": tmp_path})
    tmp_path.chmod(0o700)
    load(None, {}, {"home": tmp_path})


@pytest.mark.parametrize(
    ("mode", "status"), [(0o700, "ok"), (0o750, "ok"), (0o755, "warn"), (0o702, "fail"), (0o777, "fail")]
)
def test_homes_are_their_owners(tmp_path: Path, mode: int, status: str) -> None:
    tmp_path.chmod(mode)
    assert safety.home(tmp_path).status == status
    tmp_path.chmod(0o700)


def test_a_key_that_everybody_may_read_is_refused_by_all_that_start(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("")
    key.chmod(0o644)
    for load in (load_control_settings, load_node_settings):
        with pytest.raises(ConfigError, match="every user"):
            load(None, {}, {"tls_cert": tmp_path / "cert.pem", "tls_key": key, "home": tmp_path})


def test_names_in_certificates_that_nobody_asks_for_are_refused(tmp_path: Path) -> None:
    certificates = {"auth": {"certificates": {"batch.example": [{"permissions": ["caller"]}]}}, "home": tmp_path}
    with pytest.raises(ConfigError, match="no client is asked for one"):
        load_node_settings(None, {}, certificates)
    tls = {"tls_cert": tmp_path / "cert.pem", "tls_client_ca": tmp_path / "ca.pem"}
    tls["tls_cert"].touch(0o600)
    settings = load_node_settings(None, {}, {**certificates, **tls})
    assert settings.auth.required
    assert settings.auth.certified["batch.example"].tenant == "batch.example"


def test_what_is_risky_is_logged_and_what_fails_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    findings = [
        Finding("a", "ok", "fine"),
        Finding("b", "warn", "risky", "be careful"),
        Finding("c", "fail", "no", "x"),
    ]
    with caplog.at_level(logging.WARNING):
        safety.warn(findings)
    assert [each.getMessage() for each in caplog.records] == ["risky; be careful"]
    with pytest.raises(ConfigError, match="no"):
        safety.enforce(findings)
    safety.enforce(findings[:2])


def test_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert safety.user().status == "warn"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert safety.user().status == "ok"


def test_doctor_shows_what_serve_goes_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path))
    config = tmp_path / "shoal.yaml"
    config.write_text("host: 0.0.0.0\n")
    result = CliRunner().invoke(app, ["doctor", "--config", str(config), "--json"])
    shown = {each["name"]: each["status"] for each in json.loads(result.stdout)["safety"]}
    assert shown["data port"] == "fail"
    assert shown["control port"] == "ok"
    assert result.exit_code == 1
    config.write_text("port: many\n")
    result = CliRunner().invoke(app, ["doctor", "--config", str(config), "--json"])
    assert [each["name"] for each in json.loads(result.stdout)["safety"]] == ["settings"]
