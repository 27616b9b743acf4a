"""Shoal serves machine-learning models.

The names here are what authors of models and callers need; they are imported when first used, so that `import shoal`
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from shoal.core.version import __version__

if TYPE_CHECKING:
    from shoal.client import AsyncClient, Client
    from shoal.core.codecs import ImageCodec, JsonCodec, NumpyCodec, PandasCodec, StringCodec
    from shoal.core.outgoing.fetching import fetch
    from shoal.core.outgoing.policy import Allow
    from shoal.core.types import InferenceRequest, InferenceResponse, ItemError, RequestInput, ResponseOutput, Tensor
    from shoal.serving.adapters.model import Model

_HOMES = {
    "Allow": "shoal.core.outgoing.policy",
    "AsyncClient": "shoal.client",
    "Client": "shoal.client",
    "ImageCodec": "shoal.core.codecs",
    "InferenceRequest": "shoal.core.types",
    "InferenceResponse": "shoal.core.types",
    "ItemError": "shoal.core.types",
    "JsonCodec": "shoal.core.codecs",
    "Model": "shoal.serving.adapters.model",
    "NumpyCodec": "shoal.core.codecs",
    "PandasCodec": "shoal.core.codecs",
    "RequestInput": "shoal.core.types",
    "ResponseOutput": "shoal.core.types",
    "StringCodec": "shoal.core.codecs",
    "Tensor": "shoal.core.types",
    "fetch": "shoal.core.outgoing.fetching",
}

__all__ = [
    "Allow",
    "AsyncClient",
    "Client",
    "ImageCodec",
    "InferenceRequest",
    "InferenceResponse",
    "ItemError",
    "JsonCodec",
    "Model",
    "NumpyCodec",
    "PandasCodec",
    "RequestInput",
    "ResponseOutput",
    "StringCodec",
    "Tensor",
    "__version__",
    "fetch",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shoal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
