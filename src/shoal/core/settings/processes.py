"""What the settings of a node and of a control share: a YAML file of `name: value` lines, checked as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from shoal.core.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)


def read_file(path: Path | None) -> dict[str, Any]:
    """The values of a settings file; none for no file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    if path is None:
        return {}
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        told = _problem(error)  # its own text quotes the file, which may hold passwords
        raise ConfigError(f"{path}: {told}") from None
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{path}: settings are `name: value` lines, not a {type(values).__name__}")
    return values or {}


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, without what is written there."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}{getattr(error, 'problem', None) or 'not YAML'}"


def validated(kind: type[Settings], values: Mapping[str, object], page: str) -> Settings:
    """The settings of these values; `page` of the reference lists all of them.

    Raises:
        ConfigError: fields are wrong; all of them are named.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigError(told, hint=f"see docs/reference/{page} for all settings") from error
