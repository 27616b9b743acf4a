"""What the files of a staged folder are: which runtime loads them, and how they can carry code. Nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.formats import code_in, recognise

MODEL_FILE = "model.yaml"
_HINT = "mend it and push again; docs/reference/model-yaml.md shows all that model.yaml may hold"


class Nature(NamedTuple):
    """What an artifact is.

    Attributes:
        runtime: the adapter that fits.
        code: how it can carry code, as the end of a sentence ("is a pickle, ..."); "" when it cannot.
    """

    runtime: str
    code: str


def recognise_artifact(folder: Path) -> Nature:
    """The nature of a folder's files, by their `model.yaml` if there is one.

    Raises:
        InvalidInput: they are no model that is known, or `model.yaml` is wrong.
    """
    try:
        if (folder / MODEL_FILE).is_file():
            from shoal.core.settings import load_model_file  # loads pydantic: only for those who need it

            spec = load_model_file(folder / MODEL_FILE, folder=folder, name="model", trust=True)
            return Nature(spec.runtime, code_in(spec.runtime, Path(spec.path)))
        runtime = recognise(folder)
        return Nature(runtime, code_in(runtime, folder))
    except ConfigError as error:
        raise InvalidInput(_told(error.message, folder), hint=error.hint or _HINT, field=error.field) from error


def _told(message: str, folder: Path) -> str:
    """A sentence that speaks of the artifact, and not of where it is staged."""
    told = message.replace(f"{folder}/", "").replace(str(folder), "the artifact")
    return f"the artifact{told.removeprefix(folder.name)}" if told.startswith(f"{folder.name} ") else told
