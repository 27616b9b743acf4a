"""`shoal init`: a project folder with a model, its settings and a test that passes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shoal.core.errors import ConfigError

EPILOG = """
Examples:

  shoal init churn                                    scikit-learn, no code of your own at serving time
  shoal init churn --kind low-code --framework xgboost    your own predict() around the model
  shoal init churn --kind full-custom                 endpoints of your own (FastAPI) beside the model
  shoal init shout --framework text --kind low-code   strings in, strings out
"""


class Kind(StrEnum):
    NO_CODE = "no-code"
    LOW_CODE = "low-code"
    FULL_CUSTOM = "full-custom"


class Choice(StrEnum):
    SKLEARN = "sklearn"
    XGBOOST = "xgboost"
    LIGHTGBM = "lightgbm"
    ONNX = "onnx"
    TORCH = "torch"
    TEXT = "text"


def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; its name becomes the model's name.")],
    kind: Annotated[Kind, typer.Option(help="How much code of yours runs at serving time.")] = Kind.NO_CODE,
    framework: Annotated[Choice, typer.Option(help="What the model is made with.")] = Choice.SKLEARN,
) -> None:
    """Create a project: a model to train, its model.yaml, and a test that serves it and asks it."""
    from shoal.cli.scaffold import project_files

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", hint="choose another folder")
    files = project_files(folder.resolve().name, kind.value, framework.value)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
        print(f"  {folder / name}")
    print(f"\nnext:  cd {folder} && cat README.md")


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(init)
