"""`Model`: what a user's own model may derive from.

A class overrides exactly one of three methods, and needs nothing else:

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]
        Text in, text out: as many answers as inputs, in their order.
    async def predict(self, payload: InferenceRequest) -> InferenceResponse
        One whole request at a time.
    def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]
        Arrays of shape ``(rows, ...)``, the rows of a whole batch stacked.

`load()` may be there, as a coroutine or not; when it returns False or raises, the model does not become ready.
A plain class with nothing but `predict_all` works just as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from shoal.core.errors import ConfigError


class Model:
    """Base of user models. Everything below is set before `__init__` runs, which takes no arguments.

    Attributes:
        name: the name that callers use.
        version: the version as text, or "".
        path: the folder of the model's files (of the file, when the model is a single one).
        parameters: what `model.yaml` says under ``parameters``.
        ready: True once `load` has succeeded.
    """

    name: str = ""
    version: str = ""
    path: Path = Path()
    parameters: Mapping[str, Any] = {}
    ready: bool = False


class Style(StrEnum):
    """Which of the three contracts a class keeps."""

    TEXT = "text"
    TYPED = "typed"
    REQUEST = "request"


def style_of(kind: type) -> Style:
    """The contract that a class keeps.

    Raises:
        ConfigError: it overrides none of the methods, or both.
    """
    found = [name for name in ("predict_all", "predict") if callable(getattr(kind, name, None))]
    if len(found) != 1:
        said = "neither `predict_all` nor `predict`" if not found else "both `predict_all` and `predict`"
        raise ConfigError(f"class {kind.__name__} has {said}", hint="define exactly one of them")
    return Style.TEXT if found == ["predict_all"] else _style_of_predict(kind)


def looks_like_model(kind: object, module: str) -> bool:
    """Whether an object found in a user's module is a class that is defined there and could be served."""
    if not isinstance(kind, type) or kind.__module__ != module:
        return False
    return issubclass(kind, Model) or callable(getattr(kind, "predict_all", None))


def _style_of_predict(kind: type) -> Style:
    function = getattr(kind, "predict")  # noqa: B009 - a user's class, of no known type
    wants_request = "InferenceRequest" in _first_annotation(function)
    return Style.REQUEST if wants_request or inspect.iscoroutinefunction(function) else Style.TYPED


def _first_annotation(function: Any) -> str:
    """The annotation of the first parameter after `self`, as written; "" without one."""
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) < 2 or parameters[1].annotation is inspect.Parameter.empty:
        return ""
    annotation = parameters[1].annotation
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
