"""The steps that fill an environment's folder, and seal it.

Virtual environments know their own path, so one is filled where it will stay. Its lock's wheels come first, then what
a worker needs and the lock does not name, then Shoal; all of it is compiled. A sealed environment is read-only, holds
no pip, and tells any pip that is brought to it that there is no index.
"""

from __future__ import annotations

import compileall
import os
import shutil
import stat
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from shoal.control.environments import needs, package, pip
from shoal.control.environments.locks import Lock
from shoal.control.environments.pip import Progress

SEALED_PIP = "[global]\nno-index = true\nfind-links =\nrequire-virtualenv = true\n"
"""`pip.conf` of a sealed environment."""
LOCK_FILE = "requirements.lock"
_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an environment is made of.

    Attributes:
        lock: what is installed.
        wheels: a folder that holds all of it, Shoal included; None: the index, and Shoal as it runs here.
        seconds: how long pip may take for one step.
    """

    lock: Lock
    wheels: Path | None = None
    seconds: float = pip.SECONDS


def assemble(folder: Path, recipe: Recipe, *, progress: Progress, held: int) -> None:
    """Fill an empty or missing folder; raises what `pip.install` and `pip.check` raise."""
    progress("making a virtual environment")
    venv.EnvBuilder(symlinks=True).create(folder)
    python = python_of(folder)
    (folder / LOCK_FILE).write_text(recipe.lock.text)
    _install_lock(folder, recipe, progress, held)
    if recipe.wheels is None:
        _install_shoal(folder, recipe, progress, held)
    pip.check(python)
    progress("compiling")
    compileall.compile_dir(site_packages(folder), quiet=2)
    (folder / "pip.conf").write_text(SEALED_PIP)


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def site_packages(folder: Path) -> Path:
    """Where an environment's libraries are."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def seal(folder: Path) -> int:
    """Make everything in it read-only and bring it to the disk; the bytes that it takes."""
    size = 0
    for parent, _, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(parent, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
                path.chmod(status.st_mode & ~_WRITE)
        Path(parent).chmod(Path(parent).stat().st_mode & ~_WRITE)
    os.sync()
    return size


def remove(folder: Path) -> None:
    """Remove a folder, sealed or not."""
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o755)
    if folder.exists():
        shutil.rmtree(folder)


def _install_lock(folder: Path, recipe: Recipe, progress: Progress, held: int) -> None:
    if not recipe.lock.pins:
        return
    progress(f"installing {len(recipe.lock.pins)} requirements")
    hashes = ["--require-hashes"] if recipe.lock.hashed else []
    arguments = [*hashes, "--requirement", str(folder / LOCK_FILE)]
    python = python_of(folder)
    pip.install(python, arguments, wheels=recipe.wheels, progress=progress, held=held, seconds=recipe.seconds)


def _install_shoal(folder: Path, recipe: Recipe, progress: Progress, held: int) -> None:
    progress("installing Shoal's worker")
    target = site_packages(folder)
    for name in sorted(set(needs.WORKER) - needs.present(target)):
        needs.copy_distribution(name, target)
    with tempfile.TemporaryDirectory() as made:
        wheel = package.write_wheel(Path(made), needs.worker_requirements(), command=False)
        pip.install(
            python_of(folder), [str(wheel)], wheels=Path(made), progress=_quiet, held=held, seconds=recipe.seconds
        )


def _quiet(line: str) -> None:
    """Steps that nobody asked about are not told."""
