import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shoal.cli import checks
from shoal.cli.main import app
from shoal.serving.adapters.catalog import Runtime


def test_it_tells_of_the_machine_and_the_runtimes() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "protobuf backend" in result.output
    assert "xgboost" in result.output


def test_its_json_can_be_read_by_programs() -> None:
    groups = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert {check["name"] for check in groups["runtimes"]} >= {"sklearn", "onnx", "python", "torch"}
    assert {check["status"] for check in groups["machine"]} <= {"ok", "missing"}


def test_a_missing_library_is_no_failure_and_says_what_to_install() -> None:
    check = checks._runtime("x", Runtime("m:C", "torch", ("no_such_module",)), imports=False)
    assert (check.status, check.hint) == ("missing", "pip install 'shoal[torch]'")


def test_a_library_that_cannot_be_imported_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brokenlib.py").write_text("raise RuntimeError('bad build')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = checks._imported("broken", ["brokenlib"])
    assert (check.status, "bad build" in check.found) == ("fail", True)
    assert checks._imported("json", ["json"]).status == "ok"


def test_models_that_would_not_be_served_are_failures(tmp_path: Path) -> None:
    (tmp_path / "mine.pkl").write_bytes(b"\x80\x04N.")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "model.yaml").write_text("runtime: nonsense\n")
    result = CliRunner().invoke(app, ["doctor", str(tmp_path), "--json"])
    models = {check["name"]: check for check in json.loads(result.stdout)["models"]}
    assert result.exit_code == 1
    assert "trust" in models["mine"]["hint"]
    assert models["odd"]["status"] == "fail"
    trusted = CliRunner().invoke(app, ["doctor", str(tmp_path / "mine.pkl"), "--trust", "--json"])
    assert json.loads(trusted.stdout)["models"][0]["status"] == "ok"
