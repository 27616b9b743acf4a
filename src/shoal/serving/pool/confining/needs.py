"""What a model needs to read: its own files, and those that the node's settings name.

a folder              all of it
a file                and what is called like it: ``net.onnx`` has its weights in ``net.onnx.data``
below a `model.yaml`  everything beside and below that
a registered model    its whole artifact, which lies in a folder of its own
a model of a folder that the node was started beside: the Python code there, too, without anything else of it
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shoal.core.model import ModelSpec

ABOVE = 3
"""Folders above a model's files in which its `model.yaml` may be."""
MOST_ENTRIES = 2000
"""A folder with more than that is no project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one worker is to be allowed.

    Attributes:
        readable: files and folders.
        network: whether its model asks for the network; None: it does not, False: it may not have it.
    """

    readable: tuple[str, ...] = ()
    network: bool | None = None


def needs_of(spec: ModelSpec) -> Needs:
    """What a worker for this model alone needs."""
    paths = [*files_of(Path(spec.path), registered=bool(spec.digest))]
    if artifacts := spec.environment.get("SHOAL_ARTIFACTS"):
        paths.append(artifacts)
    if not spec.digest:
        paths += project_code(Path.cwd())
    return Needs(readable=tuple(dict.fromkeys(paths)), network=spec.network)


def files_of(path: Path, *, registered: bool = False) -> list[str]:
    """A model's files and folders."""
    folder = path if path.is_dir() else path.parent
    for each in (folder, *list(folder.parents)[:ABOVE]):
        if (each / "model.yaml").is_file():
            return [str(each)]
    if path.is_dir() or registered:
        return [str(folder)]
    start = f"{path.stem}."
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.name.startswith(start)]
    return [str(path)]


def project_code(folder: Path) -> list[str]:
    """Modules and packages of a folder: what models of a project import, as the folder is on Python's path."""
    found = []
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count >= MOST_ENTRIES:
                return []
            if entry.name.endswith(".py") or os.path.isfile(os.path.join(entry.path, "__init__.py")):
                found.append(entry.path)
    return found
