"""What the files of a staged folder are: which runtime loads them, and how they can carry code. Nothing is loaded.

The only place where that is decided: for those who look before they push, and for control, which believes nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from shoal.control.artifacts.intake import disguises
from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import code_in, recognise

MODEL_FILE = "model.yaml"
_HINT = "mend it and push again; docs/reference/model-yaml.md shows all that model.yaml may hold"


class Nature(NamedTuple):
    """What an artifact is.

    Attributes:
        runtime: the adapter that fits.
        code: how it can carry code, as the end of a sentence ("is a pickle, ..."); "" when it cannot.
        network: whether it asks for the network.
    """

    runtime: str
    code: str
    network: bool = False


def judge(folder: Path, paths: Iterable[str], *, model: bool = True) -> Nature:
    """What an artifact is, by its `model.yaml` if there is one.

    Args:
        folder: with the files.
        paths: of the files, relative to the folder.
        model: refuse files that are no model that is known; without, their runtime is "".

    Raises:
        InvalidInput: a file is not what its name says, they are no model that is known, or `model.yaml` is wrong.
    """
    for path in paths:
        disguises.check(folder / path, path)
    try:
        return _nature(folder)
    except ConfigError as error:
        if not model:
            return Nature("", "")
        raise InvalidInput(_told(error.message, folder), hint=error.hint or _HINT, field=error.field) from error


def _nature(folder: Path) -> Nature:
    if not (folder / MODEL_FILE).is_file():
        runtime = recognise(folder)
        return Nature(runtime, code_in(runtime, folder))
    from shoal.core.settings import load_model_file  # loads pydantic: only for those who need it

    spec = load_model_file(folder / MODEL_FILE, folder=folder, name="model", trust=True)
    code = code_in(spec.runtime, Path(spec.path))
    code = code or ("has an app, which is Python code" if spec.app else "")
    return Nature(spec.runtime, code, spec.network is True)


def _told(message: str, folder: Path) -> str:
    """A sentence that speaks of the artifact, and not of where it is staged."""
    told = message.replace(f"{folder}/", "").replace(str(folder), "the artifact")
    return f"the artifact{told.removeprefix(folder.name)}" if told.startswith(f"{folder.name} ") else told
