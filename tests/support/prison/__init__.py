"""A worker that a hostile model runs in, confined as a node confines it; and the things that it is after."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoal.core.confinement import Rules
from shoal.core.model import ModelSpec
from shoal.serving.pool.confining.confiner import Confiner
from shoal.serving.pool.confining.needs import needs_of
from support.prison.ordinary import as_ordinary_user
from support.raw_worker import RawWorker

CODE = Path(__file__).parent / "hostile_model.py"
SECRET = "canary-5d1f"
RULES = Rules(processes=64)


class Prison:
    """A confined worker with the hostile model.

    Attributes:
        folder: where the model and what it is after are.
        missing: what this machine did not let the worker apply.
    """

    def __init__(self, folder: Path, worker: RawWorker) -> None:
        self.folder = folder
        self._worker = worker
        self.missing = worker.hello().missing
        worker.load(spec_in(folder))

    @property
    def pid(self) -> int:
        return self._worker.pid

    def attempt(self, name: str, *arguments: object) -> str:
        """What came of it: ``denied NAME`` or ``escaped WHAT``."""
        (answer,) = self._worker.predict_all([json.dumps([name, *arguments])])
        assert answer is not None
        return answer


def spec_in(folder: Path, **fields: object) -> ModelSpec:
    """The hostile model's spec."""
    path = str(folder / "hostile")
    given = {"name": "hostile", "path": path, "runtime": "python", "trust": "code", "batchable": True, **fields}
    return ModelSpec(**given)  # type: ignore[arg-type]


@contextmanager
def scene() -> Iterator[Path]:
    """A folder that everybody may enter, with the hostile model and what it is after.

    hostile/       the model
    other/         another model
    home/          registry and state of a node
    """
    folder = Path(tempfile.mkdtemp(prefix="scene-"))
    folder.chmod(0o755)
    try:
        for name in ("hostile", "other", "home/nodes/n"):
            (folder / name).mkdir(parents=True)
        shutil.copy(CODE, folder / "hostile" / "model.py")
        for name in ("other/model.onnx", "home/registry.db", "home/nodes/n/routes.db", "home/control.json"):
            (folder / name).write_text(SECRET)
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o777 if each.is_dir() else 0o666)  # so that modes alone keep nobody out
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def prison(folder: Path, *, rules: Rules = RULES, ordinary: bool = False, **fields: object) -> Iterator[Prison]:
    """A worker for the hostile model of a scene.

    Args:
        folder: the scene.
        rules: see there.
        ordinary: started by an ordinary user.
        fields: of the model's spec.
    """
    if ordinary:
        rules = Rules(processes=64, users=None)
    confiner = Confiner(rules)
    try:
        cell = confiner.cell(needs_of(spec_in(folder, **fields)))
        prefix = as_ordinary_user(Path(cell.plan.folder)) if ordinary else ()
        with RawWorker(cell=cell, prefix=prefix, variables={"GREETING": "hello"}) as worker:
            yield Prison(folder, worker)
    finally:
        confiner.close()


def is_root() -> bool:
    return os.geteuid() == 0
