"""Without the libraries of control, a command says which extra is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.cli.main import app


@pytest.mark.parametrize("words", [["models"], ["control"]])
def test_a_missing_library_is_told_with_its_extra(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SHOAL_CONTROL", raising=False)
    monkeypatch.delitem(sys.modules, "shoal.control.main", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "needs uvicorn" in result.stderr
    assert "pip install 'shoal[control]'" in result.stderr
