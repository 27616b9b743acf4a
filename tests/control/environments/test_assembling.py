"""Real environments: what is in them, and what a real worker does there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.environments.assembling import site_packages
from shoal.control.environments.environments import Environments
from shoal.control.environments.records import Environment
from shoal.core.errors import ConfigError
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from support.index import NEW, OLD, needs_index
from support.raw_worker import RawWorker

pytestmark = pytest.mark.process

VERSIONS = """
import importlib.metadata
import iniconfig
from shoal import Model

class Versions(Model):
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [importlib.metadata.version("iniconfig") for _ in inputs]
"""
RUNS = """
import subprocess
import sys
from shoal import Model

class Runs(Model):
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [self.run(text) for text in inputs]

    def run(self, text: str) -> str:
        done = subprocess.run([sys.executable, *text.split()], capture_output=True, text=True)
        return f"{done.returncode} {done.stderr[-300:]}"
"""


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environments]:
    made = Environments(tmp_path_factory.mktemp("environments"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain(environments: Environments) -> Environment:
    """An environment with what a worker needs, and nothing else; no index is asked for it."""
    return environments.ensure("")


def model(folder: Path, code: str, **settings: str) -> ModelSpec:
    folder.mkdir(exist_ok=True)
    (folder / "model.py").write_text(code)
    return ModelSpec(name="m", path=str(folder), runtime="python", trust="code", **settings)  # type: ignore[arg-type]


def test_a_worker_of_a_built_environment_says_hello_and_loads_and_answers(plain: Environment, tmp_path: Path) -> None:
    code = VERSIONS.replace("import iniconfig\n", "").replace('"iniconfig"', '"numpy"')
    with RawWorker(str(plain.python)) as worker:
        assert worker.hello().pid > 0
        assert isinstance(worker.load(model(tmp_path, code)), Loaded)
        (version,) = worker.predict_all(["?"])

    assert f"numpy=={version}" in plain.target.needs


def test_nothing_but_the_environment_is_seen_there(plain: Environment, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "shoal").mkdir(parents=True)
    for name in ("msgspec.py", "numpy.py", "sitecustomize.py", "shoal/__init__.py"):
        (elsewhere / name).write_text("raise SystemExit('taken from elsewhere')")
    code = "from shoal import Model\nimport sys, numpy\nclass M(Model):\n    def predict_all(self, inputs: list[str]) -> list[str]:\n        return [numpy.__file__] * len(inputs)\n"

    with RawWorker(str(plain.python), cwd=elsewhere, variables={"PYTHONPATH": str(elsewhere)}) as worker:
        worker.hello()
        assert isinstance(worker.load(model(tmp_path / "m", code)), Loaded)
        assert str(worker.predict_all(["?"])[0]).startswith(plain.folder)


def test_start_up_runs_no_code_that_an_artifact_brings(plain: Environment, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    spec = model(tmp_path / "m", VERSIONS.replace("import iniconfig\n", "").replace('"iniconfig"', '"numpy"'))
    sing = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n"
    for name in ("evil.pth", "sitecustomize.py", "usercustomize.py", "conftest.py", "setup.py", "numpy.pth"):
        Path(spec.path, name).write_text(sing)

    with RawWorker(str(plain.python), cwd=Path(spec.path)) as worker:
        worker.hello()
        assert isinstance(worker.load(spec), Loaded)
        worker.predict_all(["?"])

    assert not canary.exists()


def test_a_worker_cannot_install_anything(plain: Environment, tmp_path: Path) -> None:
    before = sorted(os.listdir(site_packages(Path(plain.folder))))
    with RawWorker(str(plain.python)) as worker:
        worker.hello()
        assert isinstance(worker.load(model(tmp_path, RUNS)), Loaded)
        (answer,) = worker.predict_all(["-m pip install iniconfig"])

    assert str(answer).startswith("1 ")
    assert "No module named pip" in str(answer)
    assert sorted(os.listdir(site_packages(Path(plain.folder)))) == before


def test_a_pip_that_is_brought_along_is_told_that_there_is_no_index(plain: Environment) -> None:
    from shoal.control.environments import pip

    command = [*pip._pip(), "--python", str(plain.python), "install", "iniconfig"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "No matching distribution found" in done.stderr


def test_all_files_are_read_only(plain: Environment) -> None:
    for parent, _, files in os.walk(plain.folder):
        assert os.stat(parent).st_mode & 0o222 == 0
        assert [
            name
            for name in files
            if os.lstat(Path(parent, name)).st_mode & 0o222 and not Path(parent, name).is_symlink()
        ] == []


def test_two_services_with_conflicting_versions_of_a_library_run_side_by_side(
    environments: Environments, tmp_path: Path
) -> None:
    needs_index()
    spec = model(tmp_path, VERSIONS)
    old, new = environments.ensure(OLD), environments.ensure(NEW)

    with RawWorker(str(old.python)) as one, RawWorker(str(new.python)) as other:
        for each in (one, other):
            each.hello()
        assert all(isinstance(each.load(spec), Loaded) for each in (one, other))
        assert one.predict_all(["?", "?"]) == ["1.1.1", "1.1.1"]
        assert other.predict_all(["?"]) == ["2.0.0"]
        assert one.predict_all(["?"]) == ["1.1.1"]


def test_a_version_that_is_not_there_is_told_with_those_that_are(environments: Environments) -> None:
    needs_index()
    with pytest.raises(ConfigError, match=r"there is no iniconfig==99\.0") as caught:
        environments.ensure("iniconfig==99.0")

    assert "2.0.0" in caught.value.hint


def test_a_file_that_is_not_what_its_hash_says_is_refused(environments: Environments) -> None:
    needs_index()
    with pytest.raises(ConfigError, match=r"the file of iniconfig==2\.0\.0 is not what the lock's hash says"):
        environments.ensure(f"iniconfig==2.0.0 --hash=sha256:{'0' * 64}")


def test_a_lock_that_names_less_than_is_needed_is_refused_with_what_is_missing(environments: Environments) -> None:
    needs_index()
    with pytest.raises(ConfigError, match="the lock is not complete") as caught:
        environments.ensure("markdown-it-py==3.0.0")

    assert "markdown-it-py 3.0.0 requires mdurl, which is not installed" in caught.value.message


def test_a_version_that_shoal_cannot_live_with_is_refused(environments: Environments) -> None:
    needs_index()
    with pytest.raises(ConfigError, match="do not fit together") as caught:
        environments.ensure("protobuf==5.29.5")

    assert "shoal" in caught.value.message
    assert "protobuf" in caught.value.message
