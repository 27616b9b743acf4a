from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.confinement import Rules
from shoal.core.errors import ConfigError
from shoal.core.settings.node import load_node_settings


def rules(**variables: str) -> Rules | None:
    given = {f"SHOAL_CONFINEMENT__{name.upper()}": value for name, value in variables.items()}
    return load_node_settings(None, given, {}).confinement.rules


def test_it_is_on_without_a_word() -> None:
    assert rules() == Rules()


def test_it_can_be_off() -> None:
    assert rules(level="off") is None


def test_values_come_from_the_environment() -> None:
    said = rules(level="strict", network="never", users="", processes="100", file_size="1Mi")
    assert said == Rules(level="strict", network="never", users=None, processes=100, file_bytes=1024**2)
    assert rules(readable="/a:/b", writable="/c") == Rules(readable=("/a", "/b"), writable=("/c",))
    assert rules(users="70000-70010") == Rules(users=(70000, 70010))


def test_paths_are_absolute(tmp_path: Path) -> None:
    file = tmp_path / "shoal.yaml"
    file.write_text("confinement: {readable: [~/data, /x], writable: [y]}\n")
    said = load_node_settings(file, {}, {}).confinement.rules
    assert said is not None
    assert said.readable == (str(Path.home() / "data"), "/x")
    assert said.writable == (str(Path.cwd() / "y"),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("level", "weak"),
        ("network", "yes"),
        ("users", "0-5"),
        ("users", "9-5"),
        ("users", "x"),
        ("users", "1-99999"),
        ("processes", "1"),
        ("file_size", "0"),
    ],
)
def test_wrong_values_stop_the_start(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        rules(**{name: value})
