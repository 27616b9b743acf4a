"""What is wrong with a settings file, said to the person who wrote it.

All problems at once, one line each: ``model.yaml:12: batching.max_size: must be ..., it is 'many'``.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shoal.core.errors import ConfigError
from shoal.core.settings.documents import Document, Path


def complain(error: ValidationError, kind: type[BaseModel], document: Document, name: str) -> ConfigError:
    """The error for everything that a validation has found."""
    return gather(document, name, problems(error, kind, document))


def problems(error: ValidationError, kind: type[BaseModel], document: Document) -> list[tuple[Path, str]]:
    """Everything that a validation has found: which field, and what is wrong with it."""
    details = error.errors(include_url=False, include_context=True)
    return [(_known_part(each["loc"], document), _sentence(each, kind, document)) for each in details]


def gather(document: Document, name: str, found: Sequence[tuple[Path, str]]) -> ConfigError:
    """One `ConfigError` for problems of fields, in the order of their lines; its `field` is the first one's path."""
    unique = dict.fromkeys((_line(path, document), dotted(path), text) for path, text in found)
    ordered = sorted(unique, key=lambda each: each[0])
    lines = [f"{name}:{line}: {f'{field}: ' if field else ''}{text}" for line, field, text in ordered]
    return ConfigError("\n".join(lines), field=ordered[0][1])


def dotted(path: Path) -> str:
    """A path as people write it: ``inputs[0].shape``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _sentence(detail: ErrorDetails, kind: type[BaseModel], document: Document) -> str:
    path = _known_part(detail["loc"], document)
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown(path, kind)
        case "literal_error":
            return f"must be {detail['ctx']['expected']}, it is {_shown(path, detail, document)}"
        case "value_error":
            return f"{detail['ctx']['error']}, it is {_shown(path, detail, document)}"
        case "string_pattern_mismatch":
            return f"must match {detail['ctx']['pattern']}, it is {_shown(path, detail, document)}"
    said = detail["msg"].replace("Input should be", "must be").replace("Value should", "must")
    return f"{said[0].lower()}{said[1:]}, it is {_shown(path, detail, document)}{_yaml_habit(path, detail, document)}"


def _unknown(path: Path, kind: type[BaseModel]) -> str:
    known = _fields_at(path[:-1], kind)
    near = difflib.get_close_matches(str(path[-1]), known, n=1)
    meant = f"did you mean `{near[0]}`? " if near else ""
    return f"there is no such field; {meant}known here: {', '.join(known)}"


def _yaml_habit(path: Path, detail: ErrorDetails, document: Document) -> str:
    """Why YAML has read something else than was meant."""
    written = document.text.get(path, "")
    if isinstance(detail["input"], bool) and written.lower() not in ("true", "false"):
        return f" (YAML reads {written} without quotes as {str(detail['input']).lower()}: write '{written}')"
    if detail["type"] == "string_type":
        return f": write it in quotes, '{written}'" if written else ""
    return ""


def _shown(path: Path, detail: ErrorDetails, document: Document) -> str:
    shown = document.text.get(path)
    text = repr(detail["input"]) if shown is None else repr(shown)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _known_part(loc: Sequence[str | int], document: Document) -> Path:
    """The path of a field: what pydantic adds to tell the branches of a union is left out."""
    path: Path = ()
    for part in loc:
        if (*path, part) not in document.line and path in document.text:
            break
        if (*path, part) not in document.line and isinstance(part, str) and _is_branch(part):
            break
        path = (*path, part)
    return path


def _is_branch(part: str) -> bool:
    return "[" in part or part in ("str", "int", "float", "bool", "dict", "list")


def _line(path: Path, document: Document) -> int:
    while path and path not in document.line:
        path = path[:-1]
    return document.line.get(path, 1)


def _fields_at(path: Path, kind: type[BaseModel]) -> list[str]:
    current: type[BaseModel] = kind
    for part in path:
        if isinstance(part, str) and part in current.model_fields:
            current = _model_in(current.model_fields[part].annotation) or current
    return list(current.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in typing.get_args(annotation) if (found := _model_in(each))), None)
