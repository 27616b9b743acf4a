"""Imports from a real MLflow server, with models that a real training job has registered there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from shoal.control.sources import Fetched, SourcePolicy, Tracking, fetch_source
from shoal.core.errors import NotFound, PermissionDenied
from shoal.core.formats import recognise
from shoal.core.registry import Lineage
from support.mlflow_server import REPOSITORY, environment, mlflow_python, serving

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

SEED = REPOSITORY / "tests" / "support" / "mlflow_seed.py"


class Registry(NamedTuple):
    url: str
    folder: Path


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    python = mlflow_python()
    room = tmp_path_factory.mktemp("mlflow")
    folder = room / "folder"
    folder.mkdir()
    with serving(python, room) as url:
        subprocess.run([python, SEED, url, folder], cwd=room, env=environment(), check=True, timeout=200)
        yield Registry(url, folder)


def fetch(registry: Registry, address: str, folder: Path, **bounds: tuple[str, ...]) -> Fetched:
    tracking = Tracking(url=registry.url)
    return fetch_source(address, folder / "in", allow=SourcePolicy(**bounds), tracking=tracking)  # type: ignore[arg-type]


LINEAGE = Lineage(
    dataset="s3://data/x.csv",
    method="sklearn.linear_model.LogisticRegression",
    hyperparameters={"C": 1.5, "solver": "lbfgs", "fit_intercept": True},
    metrics={"accuracy": 0.75},
    code="abc123",
)


def check_files(fetched: Fetched) -> None:
    """The folder is what MLflow calls a model, whole and in our formats."""
    names = {each.name for each in fetched.folder.iterdir()}
    assert {"MLmodel", "requirements.txt", "conda.yaml", "input_example.json"} <= names
    assert "iris model" not in names
    assert recognise(fetched.folder) == "mlflow"
    weights = [each for each in fetched.folder.iterdir() if each.name.startswith("model.")]
    assert weights
    assert weights[0].stat().st_size > 500


@pytest.mark.parametrize("address", ["mlflow://iris model/1", "mlflow://iris model@champion"])
def test_a_version_that_the_server_keeps(registry: Registry, tmp_path: Path, address: str) -> None:
    fetched = fetch(registry, address, tmp_path)
    check_files(fetched)
    assert (fetched.model, fetched.description, fetched.tags) == ("iris model", "the first", {"team": "a"})
    assert fetched.aliases == ("champion",)
    assert len(fetched.lineage.dataset_hash) == 8
    assert msgspec.structs.replace(fetched.lineage, dataset_hash="") == LINEAGE


def test_a_version_in_a_folder_needs_the_folder_to_be_allowed(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied, match="is not below a folder"):
        fetch(registry, "mlflow://iris model/2", tmp_path)
    fetched = fetch(registry, "mlflow://iris model/2", tmp_path, roots=(str(registry.folder),))
    check_files(fetched)
    assert fetched.lineage.code == "abc123"


@pytest.mark.parametrize("address", ["mlflow://iris model/3", "mlflow://iris model@nobody", "mlflow://nobody/1"])
def test_what_is_not_there(registry: Registry, tmp_path: Path, address: str) -> None:
    with pytest.raises(NotFound, match="MLflow says"):
        fetch(registry, address, tmp_path)
    assert not (tmp_path / "in").exists()
