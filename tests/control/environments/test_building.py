"""`build` with the real index: the same bundle each time, and an environment that runs from it alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.environments import bundles
from shoal.control.environments.building import Build, build
from shoal.control.environments.environments import Environments
from shoal.core.errors import ConfigError, CorruptArtifact
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from support.index import NEW, OLD, needs_index
from support.raw_worker import RawWorker

pytestmark = pytest.mark.process

CODE = """
import iniconfig
from shared.words import greet
from shoal import Model

class Greets(Model):
    def predict_all(self, inputs: list[str]) -> list[str]:
        return [greet(text) for text in inputs]
"""


def make_project(folder: Path, requirement: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "requirements.lock").write_text(requirement + "\n")
    (folder / "shoal-build.yaml").write_text("include: [../shared]\n")
    (folder / "model.yaml").write_text("runtime: python\nimplementation: model:Greets\n")
    (folder / "model.py").write_text(CODE)
    (folder / "weights.bin").write_bytes(b"weights" * 100)
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_index()
    root = tmp_path_factory.mktemp("repository")
    (root / "shared").mkdir()
    (root / "shared" / "words.py").write_text("def greet(name):\n    return f'hello {name}'\n")
    make_project(root / "churn", NEW)
    make_project(root / "fraud", OLD)
    return root


@pytest.fixture(scope="module")
def built(repository: Path) -> Build:
    return build(repository / "churn", repository / "out" / "churn")


@pytest.fixture
def environments(tmp_path: Path) -> Iterator[Environments]:
    made = Environments(tmp_path / "environments")
    yield made
    made.close()


def names(build: Build) -> set[str]:
    return {each.path for each in bundles.verify(Path(build.bundle)).files}


def test_the_same_project_gives_the_same_digest(built: Build, repository: Path, tmp_path: Path) -> None:
    again = build(repository / "churn", tmp_path)

    assert again.digest == built.digest
    assert Path(again.dockerfile).read_text() == Path(built.dockerfile).read_text()
    assert built.digest.removeprefix("sha256:") in Path(built.dockerfile).read_text()


def test_another_requirement_gives_another_digest_and_each_project_builds_alone(
    built: Build, repository: Path, tmp_path: Path
) -> None:
    other = build(repository / "fraud", tmp_path)

    assert other.digest != built.digest
    assert OLD in other.wheels
    assert NEW in built.wheels
    assert "code/shared/words.py" in names(other) & names(built)


def test_weights_are_in_it_only_if_asked_for(built: Build, repository: Path, tmp_path: Path) -> None:
    assert not any("weights" in name for name in names(built))

    assert {"model/weights.bin", "model/model.py"} < names(build(repository / "churn", tmp_path, with_model=True))


def test_every_wheel_is_locked_by_its_hash(built: Build) -> None:
    lock = bundles.read_member(Path(built.bundle), bundles.LOCK).decode().splitlines()

    assert len(lock) == len(built.wheels)
    assert all(line.count("--hash=sha256:") == 1 for line in lock)


def test_two_models_run_from_one_bundle_without_an_index(
    built: Build, environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    bundle = Path(built.bundle)
    environment = environments.ensure_from(bundle)
    with bundles.unpacked(bundle, tmp_path) as contents:
        for name in ("one", "other"):
            spec = ModelSpec(name=name, path=str(contents / "code"), runtime="python", trust="code")
            with RawWorker(str(environment.python)) as worker:
                worker.hello()
                assert isinstance(worker.load(spec), Loaded)
                assert worker.predict_all([name]) == [f"hello {name}"]

    shown = subprocess.run(
        [environment.python.with_name("shoal"), "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("shoal ")
    assert environments.ensure_from(bundle).digest == environment.digest


def test_the_dockerfiles_own_commands_make_a_shoal_that_runs(built: Build, tmp_path: Path) -> None:
    lines = Path(built.dockerfile).read_text().replace("\\\n", " ").splitlines()
    (command,) = (line.removeprefix("RUN ") for line in lines if line.startswith("RUN "))
    bundles.unpack(Path(built.bundle), tmp_path / "bundle")
    for inside, here in (("/opt/shoal", "shoal"), ("/bundle", "bundle"), ("/models", "models")):
        command = re.sub(rf"(?<=[ =]){inside}(?=[/ ]|$)", str(tmp_path / here), command)

    path = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-euc", command], env=path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    shown = subprocess.run([tmp_path / "shoal" / "bin" / "shoal", "serve", "--help"], capture_output=True, check=False)
    assert shown.returncode == 0
    assert not list((tmp_path / "shoal").rglob("pip"))


def test_a_bundle_that_was_changed_builds_nothing(built: Build, environments: Environments, tmp_path: Path) -> None:
    changed = tmp_path / "changed.tar"
    content = bytearray(Path(built.bundle).read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)

    with pytest.raises(CorruptArtifact):
        environments.ensure_from(changed)
    assert environments.list() == ()


def test_a_project_for_another_python_is_refused(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "churn", NEW)
    (folder / "shoal-build.yaml").write_text("python: '3.4'\n")

    with pytest.raises(ConfigError, match=r"python: 3\.4 is asked for") as caught:
        build(folder, tmp_path / "out")
    assert "python3.4 -m shoal build" in caught.value.hint
