"""Which runtimes there are, and how a `ModelSpec` becomes an `Adapter`.

Ready runtimes are told in a table, so that nothing is imported before it is used; third parties add theirs by an entry
point of the group ``shoal.runtimes`` (name -> ``module:Class``, an `Adapter`). A framework that is not installed, a
runtime that nobody knows and an artifact that may carry code without trust are a `ConfigError` that says what to do.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.core.formats import recognise, require_trust
from shoal.core.model import ModelSpec
from shoal.serving.adapters.base import Adapter

__all__ = ["RUNTIMES", "Runtime", "create_adapter", "known_runtimes", "missing_libraries", "preload", "recognise"]

logger = logging.getLogger(__name__)

GROUP = "shoal.runtimes"
"""The entry point group of third-party runtimes."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where a runtime is and what it needs.

    Attributes:
        home: ``module:name`` of a class or function that takes a `ModelSpec` and returns an `Adapter`.
        extra: the extra of this package that installs its libraries, or "".
        libraries: the modules that must be importable.
        often: modules of the framework that many of its models need; imported by `preload`.
    """

    home: str
    extra: str = ""
    libraries: tuple[str, ...] = ()
    often: tuple[str, ...] = ()


def _ready(name: str, cls: str, *libraries: str, often: tuple[str, ...] = ()) -> Runtime:
    return Runtime(f"shoal.serving.adapters.{name}:{cls}", name, libraries, often)


_SKLEARN = tuple(f"sklearn.{name}" for name in (
    "linear_model", "ensemble", "tree", "svm", "neighbors", "naive_bayes", "neural_network", "cluster", "pipeline",
    "compose", "preprocessing", "impute", "decomposition", "feature_extraction.text", "feature_selection",
))  # fmt: skip


RUNTIMES: dict[str, Runtime] = {
    "sklearn": _ready("sklearn", "SKLearn", "sklearn", "joblib", "skops", often=_SKLEARN),
    "xgboost": _ready("xgboost", "XGBoost", "xgboost"),
    "lightgbm": _ready("lightgbm", "LightGBM", "lightgbm"),
    "onnx": _ready("onnx", "ONNX", "onnxruntime"),
    "torch": _ready("torch", "Torch", "torch"),
    "tensorflow": _ready("tensorflow", "TensorFlow", "tensorflow"),
    "transformers": _ready("transformers", "Transformers", "transformers", "torch"),
    "mlflow": _ready("mlflow", "MLflow", "mlflow", "pandas"),
    "python": Runtime("shoal.serving.adapters.python:make"),
}


def known_runtimes() -> dict[str, Runtime]:
    """Every runtime by name: the ready ones, then those of installed packages."""
    others = {each.name: Runtime(each.value) for each in metadata.entry_points(group=GROUP)}
    return {**others, **RUNTIMES}


def missing_libraries(runtime: Runtime) -> list[str]:
    """The libraries of a runtime that are not installed; nothing is imported."""
    return [name for name in runtime.libraries if importlib.util.find_spec(name) is None]


def create_adapter(spec: ModelSpec) -> Adapter:
    """The adapter that will run a model; it is not loaded yet. (Runtime `python` imports the user's module here.)

    Raises:
        ConfigError: unknown runtime, missing library or missing trust.
    """
    name = spec.runtime or recognise(Path(spec.path))
    runtime = _find(name)
    require_trust(spec)
    return _import(name, runtime)(spec)


def preload(names: Iterable[str]) -> None:
    """Import the libraries of these runtimes now, so that no load has to; what cannot be imported is for the load that
    needs it to complain about."""
    for name in names:
        try:
            runtime = _find(name)
            _import(name, runtime)
            for module in runtime.often:
                importlib.import_module(module)
        except (ConfigError, ImportError) as error:
            logger.warning("runtime %s is not preloaded: %s", name, error)


def _find(name: str) -> Runtime:
    known = RUNTIMES if name in RUNTIMES else known_runtimes()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"there is no runtime {name!r}", hint=f"{hint}known: {', '.join(sorted(known))}", field="runtime")


def _import(name: str, runtime: Runtime) -> Callable[[ModelSpec], Adapter]:
    module_name, _, attribute = runtime.home.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in runtime.libraries:
            raise ConfigError(f"runtime {name!r} cannot be used: {error}", field="runtime") from error
        hint = f"pip install 'shoal[{runtime.extra}]'"
        raise ConfigError(f"runtime {name!r} needs {error.name}, which is not installed", hint=hint) from error
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"runtime {name!r} cannot be used: {error}", field="runtime") from error
    factory: Callable[[ModelSpec], Adapter] = found
    return factory
