"""`shoal init`: every project that it can make passes its own test, as its README says."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from shoal.cli.frameworks import FRAMEWORKS

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

LIGHT = [name for name in FRAMEWORKS if name != "torch"]
QUICK = [("no-code", "sklearn"), ("low-code", "xgboost"), ("full-custom", "sklearn"), ("low-code", "text")]
OTHERS = [each for each in product(("no-code", "low-code", "full-custom"), LIGHT) if each not in QUICK]


@pytest.mark.parametrize(
    ("kind", "framework"), [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS)]
)
def test_a_new_project_passes_its_own_test(tmp_path: Path, kind: str, framework: str) -> None:
    project = tmp_path / "my-model"
    command = [sys.executable, "-m", "shoal", "init", str(project), "--kind", kind, "--framework", framework]
    subprocess.run(command, check=True, capture_output=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    seen = subprocess.run(command, cwd=project, env=clean, capture_output=True, text=True, timeout=100)
    assert seen.returncode == 0, seen.stdout + seen.stderr


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    seen = subprocess.run([sys.executable, "-m", "shoal", "init", str(tmp_path)], capture_output=True, text=True)
    assert seen.returncode == 2
    assert "not empty" in seen.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
