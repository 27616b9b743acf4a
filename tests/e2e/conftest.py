"""One running node with real models, shared by the end-to-end tests that do not hurt it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.testing.node import RunningNode, serve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def demo_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder of models, trained now."""
    folder = tmp_path_factory.mktemp("demo") / "models"
    subprocess.run([sys.executable, ROOT / "examples/demo/train_models.py", folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def node(demo_models: Path) -> Iterator[RunningNode]:
    with serve(demo_models) as running:
        yield running
