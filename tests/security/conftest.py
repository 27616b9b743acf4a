"""A running node with secrets in its environment, for all that look at it from outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import shoal
from shoal.testing.node import RunningNode, serve

ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "canary-aws",
    "AZURE_STORAGE_ACCOUNT_KEY": "canary-azure",
    "SHOAL_API_KEY": "canary-key",
    "SHOAL_CONTROL_REGISTRY": "postgresql://shoal:canary-db@db.invalid/shoal",
    "DATABASE_URL": "postgresql://shoal:canary-url@db.invalid/shoal",
    "MLFLOW_TRACKING_PASSWORD": "canary-mlflow",
    "MLFLOW_TRACKING_URI": "http://user:canary-uri@ml.invalid/",
    "HF_TOKEN": "canary-hf",
    "PIP_INDEX_URL": "https://user:canary-pip@index.invalid/",
    "OPENAI_API_KEY": "canary-openai",
}
MODEL = """
import json, os
from shoal import Model

class Telling(Model):
    def predict_all(self, inputs):
        if "raise" in inputs:
            raise RuntimeError(f"cannot reach postgresql://u:canary-model@db/x, with {dict(os.environ)}")
        if "crash" in inputs:
            print("crashing with redis://:canary-output@cache/0", flush=True)
            os.abort()
        return [json.dumps(dict(os.environ)) for _ in inputs]
"""


SOURCE = Path(shoal.__file__).parent


@pytest.fixture(scope="session")
def sources() -> dict[str, ast.AST]:
    """All of the package, read once: by path below it."""
    return {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))}


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("models") / "telling"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    with serve(folder.parent, environment=ENVIRONMENT) as running:
        yield running
