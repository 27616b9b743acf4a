"""Every example passes its own test, and does what its README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.snippets import ROOT, Reader

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/model.yaml"))
SELF_CONTAINED = sorted(path.parent for path in ROOT.glob("examples/*/README.md") if "```sh" in path.read_text())
"""Those whose commands need nothing else; that of pictures needs a web server, which its own test has."""


def test_the_list_of_examples_is_complete() -> None:
    listed = (ROOT / "examples/README.md").read_text()
    folders = {path.parent.name for path in ROOT.glob("examples/*/*.py")}
    assert len(EXAMPLES) >= 4
    assert [name for name in sorted(folders) if f"[`{name}`](" not in listed] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_its_own_test(example: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider", "."]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    seen = subprocess.run(command, cwd=example, env=clean, capture_output=True, text=True, timeout=100)
    assert seen.returncode == 0, seen.stdout + seen.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", SELF_CONTAINED, ids=lambda path: path.name)
def test_an_example_does_what_its_readme_says(example: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with Reader(tmp_path) as reader:
        assert reader.read(example / "README.md") > 0
