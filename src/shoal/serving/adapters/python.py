"""The runtime `python`: a user's own class, from the model's folder.

`make` imports ``module:Class`` and returns the adapter of the class's style. Importing a module runs it: the catalogue
has asked for trust before, and only workers come here. The model's folder goes on `sys.path` of a worker of its own. In
a shared worker all its modules live in a namespace of their own (see `namespaces`), and `load` may run in another
thread than the predictions.

The adapters own what users easily get wrong: `load` as coroutine or not, its False, and (for whole requests) the
response's name, version and id, and text that was declared a number.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import logging
import re
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from shoal.core.errors import ConfigError, ModelContract, NotReady
from shoal.core.model import ModelSpec
from shoal.core.types import InferenceRequest, InferenceResponse, ItemError, Signature, Tensor, TensorSpec
from shoal.serving.adapters.base import Adapter, Array, RequestAdapter, TextAdapter, TypedAdapter
from shoal.serving.adapters.model import Model, Style, looks_like_model, style_of
from shoal.serving.adapters.namespaces import Namespace

logger = logging.getLogger(__name__)

DEFAULT_MODULE = "model"
"""The module that is imported when the settings name none: `model.py`."""


def make(spec: ModelSpec) -> Adapter:
    """The adapter for the user's class that a spec names.

    Raises:
        ConfigError: no such module or class, or the class keeps none of the contracts.
        Exception: whatever the user's module raises while it is imported.
    """
    space = _namespace(spec)
    try:
        kind = find_class(spec, space)
        adapter = _adapter_of(kind)(spec, kind)
    except BaseException:
        if space is not None:
            space.close()
        raise
    adapter.space = space
    return adapter


def _adapter_of(kind: type) -> type[_UserAdapter]:
    adapters: dict[Style, type[_UserAdapter]] = {
        Style.TEXT: TextModel,
        Style.TYPED: TypedModel,
        Style.REQUEST: RequestModel,
    }
    return adapters[style_of(kind)]


def find_class(spec: ModelSpec, space: Namespace | None = None) -> type:
    """Import the class that ``module:Class`` names; without a class, the only one of the module that is a model.

    Args:
        spec: what names it.
        space: where the modules of its folder go; None: among all others.
    """
    module_name, _, class_name = spec.implementation.partition(":")
    module = _import(spec, module_name, space)
    if class_name:
        found = getattr(module, class_name, None)
        if not isinstance(found, type):
            raise ConfigError(f"module {module_name!r} has no class {class_name!r}", field="implementation")
        return found
    own: list[type] = [each for each in vars(module).values() if looks_like_model(each, module.__name__)]
    if len(own) != 1:
        names = ", ".join(each.__name__ for each in own) or "none"
        raise ConfigError(
            f"{module.__file__} must define one model class, it has {names}",
            hint="name it in model.yaml: `implementation: module:Class`",
            field="implementation",
        )
    return own[0]


def _folder(spec: ModelSpec) -> Path:
    path = Path(spec.path)
    return path if path.is_dir() else path.parent


def _namespace(spec: ModelSpec) -> Namespace | None:
    return Namespace(_folder(spec)) if spec.placement == "shared" else None


def _import(spec: ModelSpec, name: str, space: Namespace | None) -> ModuleType:
    folder = _folder(spec)
    name = name or (DEFAULT_MODULE if Path(spec.path).is_dir() else Path(spec.path).stem)
    if space is not None:
        return space.load(name) if space.owns(name.partition(".")[0]) else _import_installed(name, folder)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    file = folder / f"{name}.py"
    if file.is_file():
        return _import_file(file, f"shoal_model_{_word(spec.name)}_{_word(spec.version)}_{name}")
    return _import_installed(name, folder)


def _import_installed(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        hint = "`implementation` is `module:Class`, where module.py lies in the model's folder or is installed"
        raise ConfigError(f"no module {name!r} in {folder}", hint=hint, field="implementation") from error


def _import_file(file: Path, name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _word(text: str) -> str:
    return re.sub(r"\W", "_", text)


class _UserAdapter(Adapter):
    """Makes the user's object and loads it."""

    def __init__(self, spec: ModelSpec, kind: type) -> None:
        super().__init__(spec)
        self.kind = kind
        self.model: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.space: Namespace | None = None

    def load(self) -> None:
        with self.space.entered() if self.space is not None else nullcontext():
            self._load()

    def _load(self) -> None:
        self.model = _instantiate(self.kind, self.spec)
        load = getattr(self.model, "load", None)
        result = load() if callable(load) else None
        if inspect.iscoroutine(result):
            result = self._run(result)
        if result is False:
            raise NotReady(f"load() of {self.kind.__name__} returned False")
        if isinstance(self.model, Model):
            self.model.ready = True

    def close(self) -> None:
        if self.loop is not None:
            self.loop.close()
            self.loop = None
        if self.space is not None:
            self.space.close()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self.loop is None:
            self.loop = asyncio.new_event_loop()
        return self.loop.run_until_complete(coroutine)


def _instantiate(kind: type, spec: ModelSpec) -> Any:
    model: Any = object.__new__(kind)
    if isinstance(model, Model):
        model.name, model.version = spec.name, spec.version
        model.path = _folder(spec)
        model.parameters = dict(spec.parameters)
    required = [
        each.name
        for each in inspect.signature(kind).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if required:
        hint = "read `self.parameters` and `self.path`, which are set before __init__, or do the work in load()"
        raise ConfigError(f"{kind.__name__}() needs {', '.join(required)}, but is made without arguments", hint=hint)
    model.__init__()
    return model


class TextModel(_UserAdapter, TextAdapter):
    """A class with `predict_all`."""

    def predict_all(self, inputs: list[str]) -> list[str | ItemError]:
        result: list[str | ItemError] = self.model.predict_all(inputs)
        return result

    def signature(self) -> Signature:
        return Signature((TensorSpec("inputs", "BYTES", (-1,)),), (TensorSpec("outputs", "BYTES", (-1,)),))


class TypedModel(_UserAdapter, TypedAdapter):
    """A class with a `predict` from arrays to arrays."""

    def predict(self, inputs: dict[str, Array]) -> Mapping[str, Array | Sequence[object]]:
        result = self.model.predict(inputs)
        if not isinstance(result, Mapping):
            said = type(result).__name__
            raise ModelContract(f"predict() must return a dict of arrays, it returned {said}")
        return result


class RequestModel(_UserAdapter, RequestAdapter):
    """A class with a `predict` from request to response, a coroutine or not."""

    def __init__(self, spec: ModelSpec, kind: type) -> None:
        super().__init__(spec, kind)
        self._warned = False

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        result = self.model.predict(payload)
        response = await result if inspect.isawaitable(result) else result
        if not isinstance(response, InferenceResponse):
            said = type(response).__name__
            raise ModelContract(f"predict() must return an InferenceResponse, it returned {said}")
        response.model_name = response.model_name or self.spec.name
        response.model_version = response.model_version or self.spec.version or None
        response.id = response.id or payload.id
        for output in response.outputs:
            self._mend(output)
        return response

    def _mend(self, output: Tensor) -> None:
        """Text that is declared a number is sent as what it is."""
        if output.datatype == "BYTES" or not isinstance(output.data, (list, tuple)) or not _has_text(output.data):
            return
        if not self._warned:
            self._warned = True
            fields = {"model": self.spec.name, "output": output.name, "datatype": output.datatype}
            logger.warning("text sent as BYTES, not as declared", extra=fields)
        output.datatype = "BYTES"


def _has_text(data: list[Any] | tuple[Any, ...]) -> bool:
    return any(
        _has_text(each) if isinstance(each, (list, tuple)) else isinstance(each, (str, bytes, dict)) for each in data
    )
