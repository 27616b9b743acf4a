"""What namespaces may hold, as settings say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.quotas import UNLIMITED, Limits
from shoal.core.settings.control import load_control_settings
from shoal.core.settings.quotas import limits_of


def read(folder: Path, text: str) -> dict[str, Limits]:
    """The limits of two namespaces."""
    path = folder / "control.yaml"
    path.write_text(text)
    limits = limits_of(load_control_settings(path, {"SHOAL_HOME": str(folder / "home")}, {}).quotas)
    return {name: limits(name) for name in ("team", "other")}


def test_nobody_is_limited_by_default(tmp_path: Path) -> None:
    assert read(tmp_path, "port: 0") == {"team": UNLIMITED, "other": UNLIMITED}


def test_what_a_namespace_does_not_say_is_as_for_all_and_null_is_any_amount(tmp_path: Path) -> None:
    said = "quotas: {'*': {models: 3, bytes: 1Ki, services: 2}, team: {models: 9, services: null}}"
    assert read(tmp_path, said) == {
        "team": Limits(models=9, bytes=1024),
        "other": Limits(models=3, bytes=1024, services=2),
    }


def test_a_mistake_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quotas"):
        read(tmp_path, "quotas: {team: {models: -1}}")
