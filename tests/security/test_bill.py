"""The bill of materials, and the question whether holes are known in what is on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

ROOT = Path(__file__).parents[2]
LIGHT = {"hpack", "httptools", "msgspec", "numpy", "prometheus-client", "protobuf", "pydantic", "pysimdjson", "pyyaml",
         "rich", "typer", "uvloop"}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bill as the tool writes it."""
    folders = [tmp_path_factory.mktemp("bill") for _ in range(2)]
    for seed, folder in enumerate(folders):
        command = [sys.executable, ROOT / "tools/sbom.py", folder]
        subprocess.run(command, check=True, capture_output=True, timeout=50, env={"PYTHONHASHSEED": str(seed)})
    first, second = (next(folder.iterdir()).read_text() for folder in folders)
    assert first == second
    return first


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "tools")
    import audit

    yield audit
    sys.modules.pop("audit")


def test_the_bill_is_what_cyclonedx_says_it_must_be(written: str) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)
    assert error is None, error
    expressions = [each["expression"] for one in components(written) for each in one.get("licenses", ())
                   if "expression" in each]  # fmt: skip
    assert expressions
    known = get_spdx_licensing()
    assert [each for each in sorted(set(expressions)) if known.validate(each).errors] == []


def test_the_bill_holds_what_runs_in_the_versions_of_the_lock_and_no_tool_of_developers(written: str) -> None:
    lock = {line.partition("==")[0].lower().replace("_", "-"): line.partition("==")[2].strip()
            for line in (ROOT / "requirements.lock").read_text().splitlines() if line}  # fmt: skip
    there = {each["purl"].removeprefix("pkg:pypi/").partition("@")[0]: each for each in components(written)}
    assert {name: each["version"] for name, each in there.items()} == {name: lock[name] for name in there}
    assert there.keys() >= LIGHT
    assert all(there[name]["scope"] == "required" for name in LIGHT)
    assert there["fastapi"]["scope"] == "optional"
    assert {each["value"] for each in there["pyjwt"]["properties"]} >= {"oidc"}
    assert not there.keys() & {"pytest", "mypy", "ruff", "hypothesis", "atheris", "cyclonedx-python-lib"}
    graph = {each["ref"]: each["dependsOn"] for each in json.loads(written)["dependencies"]}
    assert len(graph) == len(there) + 1
    assert {need for needs in graph.values() for need in needs} <= graph.keys()


def components(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def told(*names: str, skip: bool = False) -> dict[str, Any]:
    """An answer of pip-audit: a hole in each of these, or nothing known."""
    if skip:
        return {"dependencies": [{"name": name, "skip_reason": "not found on PyPI"} for name in names]}
    hole = {"id": "CVE-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}
    return {"dependencies": [{"name": name, "version": "1.0", "vulns": [hole]} for name in names]}


def run(audit: ModuleType, monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any], must: bool = False) -> int:
    waiting = list(answers)
    monkeypatch.setattr(audit, "asked", lambda lock: waiting.pop(0))
    monkeypatch.setattr(sys, "argv", ["audit.py", *(["--must"] if must else [])])
    code: int = audit.main()
    assert waiting == []
    return code


def test_holes_are_named_and_fail(
    tools: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tools, monkeypatch, told("h11"), told("bad")) == 1
    assert "bad 1.0: CVE-1, closed in 2.0" in capsys.readouterr().out
    assert run(tools, monkeypatch, told("h11"), {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}) == 0
    assert "1 packages, 0 known holes" in capsys.readouterr().out


@pytest.mark.parametrize("must", [False, True])
def test_silence_is_not_taken_for_an_answer(
    tools: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], must: bool
) -> None:
    assert run(tools, monkeypatch, told("h11", skip=True), must=must) == (2 if must else 0)
    assert "NOT AUDITED" in capsys.readouterr().err


def test_a_tool_that_breaks_off_has_not_answered(tools: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = subprocess.CompletedProcess[str]([], 1, "", "Traceback\nConnectionError: no way out")
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: broken)
    with pytest.raises(tools.Unreachable, match="no way out"):
        tools.asked(Path("requirements.lock"))
