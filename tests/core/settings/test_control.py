"""Where control lives and listens: from a file, the environment, the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.settings.control import load_control_settings


def test_everything_has_a_default_in_the_home(tmp_path: Path) -> None:
    settings = load_control_settings(None, {}, {"home": tmp_path})
    assert settings.registry_url == f"sqlite:///{tmp_path}/registry.db"
    assert settings.artifacts_url == f"{tmp_path}/artifacts"
    assert (settings.host, settings.port, settings.trust) == ("127.0.0.1", 8081, False)


def test_the_later_wins(tmp_path: Path) -> None:
    file = tmp_path / "control.yaml"
    file.write_text("port: 1\nuploads: 2\ntrust: true\n")
    environment = {
        "SHOAL_HOME": "/h",
        "SHOAL_CONTROL_PORT": "3",
        "SHOAL_CONTROL_NAMES": "a,b",
        "SHOAL_PORT": "9",
        "SHOAL_CONTROL": "http://x",
    }
    settings = load_control_settings(file, environment, {"uploads": 4, "host": None})
    assert (settings.port, settings.uploads, settings.trust, settings.names) == (3, 4, True, ("a", "b"))
    assert settings.folder == Path("/h")


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "example.org", "::"])
def test_only_loopback_is_listened_on(host: str) -> None:
    with pytest.raises(ConfigError, match="refusing to listen"):
        load_control_settings(None, {}, {"host": host})


def test_beyond_loopback_it_takes_keys_and_tls(tmp_path: Path) -> None:
    files = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    for file in files.values():
        file.touch(0o600)
    with pytest.raises(ConfigError, match="clear text"):
        load_control_settings(None, {}, {"host": "0.0.0.0", "auth": "keys"})
    with pytest.raises(ConfigError, match="asked for a key"):
        load_control_settings(None, {}, {"host": "0.0.0.0", **files})
    assert load_control_settings(None, {}, {"host": "0.0.0.0", "auth": "keys", **files}).host == "0.0.0.0"


@pytest.mark.parametrize("text", ["prot: 1", "port: many", "- a", "port: [", "uploads: 0"])
def test_what_is_wrong_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "control.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError):
        load_control_settings(file, {}, {})


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_control_settings(tmp_path / "none.yaml", {}, {})
