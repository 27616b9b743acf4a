"""A virtual environment for each peer, made once from exact versions and used again.

`make` is quick when everything is there: a stamp holds the text of the requirements that an environment was made from.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import models
from benchmarks.paths import ENVIRONMENTS, LOGS, MODELS, PYTHON, REQUIREMENTS
from benchmarks.peers import Peer


class CannotInstall(Exception):
    """The peer's environment could not be made; the message says why, in one line."""


def python_of(peer: Peer) -> Path:
    """The interpreter that runs the peer."""
    return ENVIRONMENTS / peer.environment / "bin" / "python" if peer.environment else PYTHON


def models_of(peer: Peer) -> Path:
    """The folder of models that the peer loads from."""
    return MODELS / peer.environment if peer.environment else MODELS


def make(peer: Peer) -> None:
    """Installs the peer, and makes the models that depend on its libraries.

    Raises:
        CannotInstall: an interpreter or a package is missing, or does not install.
    """
    if not peer.environment:
        return
    requirements = REQUIREMENTS / f"{peer.environment}.txt"
    stamp = ENVIRONMENTS / peer.environment / "made-from.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        _install(peer, requirements)
        stamp.write_text(requirements.read_text())
    _provide_models(peer)


def _install(peer: Peer, requirements: Path) -> None:
    python = python_of(peer)
    if not python.exists():
        interpreter = shutil.which(peer.interpreter) or sys.executable
        _run([interpreter, "-m", "venv", str(python.parent.parent)], peer)
    _run([str(python), "-m", "pip", "install", "-q", "--prefer-binary", "-r", str(requirements)], peer)


def _provide_models(peer: Peer) -> None:
    folder = models_of(peer)
    folder.mkdir(exist_ok=True)
    if not (folder / "mlp.onnx").exists():
        os.symlink(MODELS / "mlp.onnx", folder / "mlp.onnx")
    try:
        models.train_iris(python_of(peer), folder / "iris.joblib")
    except subprocess.CalledProcessError as error:
        raise CannotInstall(f"{peer.name}: iris does not train") from error


def _run(command: list[str], peer: Peer) -> None:
    log = LOGS / f"install-{peer.environment}.log"
    try:
        with log.open("ab") as output:
            subprocess.run(["nice", "-n", "10", *command], check=True, stdout=output, stderr=output, timeout=1200)
    except (OSError, subprocess.SubprocessError) as error:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise CannotInstall(f"{peer.name} does not install: {lines[-1] if lines else error}") from error
