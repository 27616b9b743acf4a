"""`shoal build` as a person and a script use it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.index import NEW, needs_index

pytestmark = pytest.mark.process


def shoal(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shoal", "build", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "requirements.lock").write_text(f"{NEW}\n")
    return folder


def test_it_tells_what_it_does_and_what_it_has_made(project: Path) -> None:
    needs_index()
    done = shoal(str(project), "--json")

    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    assert Path(built["bundle"]).parent == project / "dist"
    assert Path(built["dockerfile"]).is_file()
    assert "downloading 1 requirements" in done.stderr


def test_a_wrong_lock_is_wrong_usage(project: Path) -> None:
    (project / "requirements.lock").write_text("a==1\nnumpy\n")
    done = shoal(str(project))

    assert done.returncode == 2
    assert "requirements.lock:2: numpy has no version" in done.stderr
    assert "hint: write numpy==VERSION" in done.stderr
