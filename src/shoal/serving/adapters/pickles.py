"""The one place where a pickle is loaded.

A pickle can run any code. Nobody but the adapters of scikit-learn and PyTorch comes here, and each of them calls
`load_pickle` with the spec, so that the trust is looked at again where it matters, whatever was checked before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shoal.core.errors import ConfigError
from shoal.core.formats import TRUST_HINT
from shoal.core.model import ModelSpec


def load_pickle(spec: ModelSpec, file: Path) -> Any:
    """The object in a joblib or pickle file.

    Raises:
        ConfigError: the model is not trusted, or the file cannot be loaded.
    """
    _require(spec, file)
    import joblib

    try:
        return joblib.load(file)
    except ModuleNotFoundError as error:
        hint = "install it in the model's environment"
        raise ConfigError(f"{file.name} needs the Python module {error.name!r}", hint=hint) from error
    except Exception as error:
        raise ConfigError(f"{file.name} cannot be loaded: {type(error).__name__}: {error}") from error


def load_torch_pickle(spec: ModelSpec, file: Path) -> Any:
    """The object in a file that `torch.save` has written.

    Raises:
        ConfigError: the model is not trusted, or the file cannot be loaded.
    """
    _require(spec, file)
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:
        raise ConfigError(f"{file.name} cannot be loaded: {type(error).__name__}: {error}") from error


def _require(spec: ModelSpec, file: Path) -> None:
    if spec.trust != "code":
        raise ConfigError(f"{file.name} is a pickle and is not trusted", hint=TRUST_HINT, field="trust")
