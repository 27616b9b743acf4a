"""A control for commands, and a way to give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shoal.cli.main import app
from shoal.client.control import ControlClient
from support.controls import listening

Shoal = Callable[..., str]


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlClient]:
    """A control that commands find by themselves."""
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SHOAL_CONTROL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    with listening(tmp_path / "home", trust=True) as client:
        yield client


@pytest.fixture
def shoal(control: ControlClient) -> Shoal:
    """Give a command; what it has printed."""

    def give(*words: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, result.output
        return result.output

    return give


@pytest.fixture
def told(control: ControlClient) -> Callable[..., Any]:
    """Give a command with --json; the value that it has printed."""

    def give(*words: object) -> Any:
        result = CliRunner().invoke(app, [*(str(word) for word in words), "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return give
