"""What each route and each gRPC method of the data port needs: the one table. A route that is not in it cannot be made.

What somebody may neither read nor ask does not exist for them (404). What they may see, but not do, is refused (403).
Without a valid credential everything is refused (401) but health, which load balancers ask for, and which names no
model.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from shoal.core.access import Permission

READ, INFER, OPERATE = Permission.READ, Permission.INFER, Permission.OPERATE


class About(Enum):
    """What a permission is needed on."""

    NOTHING = "nothing"
    """It is open to everybody."""
    MODEL = "model"
    """The model that the request names."""
    MODELS = "models"
    """Any model at all; what the answer tells is then only about such models."""
    NODE = "node"
    """All models of all namespaces."""


class Need(NamedTuple):
    """What must be allowed.

    Attributes:
        about: on what.
        any_of: permissions, of which one is enough.
    """

    about: About
    any_of: tuple[Permission, ...] = ()


OPEN = Need(About.NOTHING)
SEE = (READ, INFER)
MODEL = "/v2/models/{model}[/versions/{version}]"
V1_MODEL = "/v1/models/{model}[/versions/{version}]"

HTTP: dict[str, Need] = {
    "GET /": Need(About.MODELS, (READ,)),
    "GET /docs": Need(About.MODELS, (READ,)),
    "GET /docs/static/{file}": Need(About.MODELS, (READ,)),
    "GET /openapi.json": Need(About.MODELS, (READ,)),
    "GET /metrics": Need(About.NODE, (READ,)),
    "GET /v2": Need(About.MODELS, SEE),
    "GET /v2/health/live": OPEN,
    "GET /v2/health/ready": OPEN,
    "GET /v2/models": Need(About.MODELS, SEE),
    "GET /v2/models/stats": Need(About.MODELS, (READ,)),
    f"GET {MODEL}": Need(About.MODEL, SEE),
    f"GET {MODEL}/ready": Need(About.MODEL, SEE),
    f"GET {MODEL}/stats": Need(About.MODEL, (READ,)),
    f"GET {MODEL}/config": Need(About.MODEL, (READ,)),
    f"GET {MODEL}/why": Need(About.MODEL, (READ,)),
    f"GET {MODEL}/docs": Need(About.MODEL, (READ,)),
    f"GET {MODEL}/openapi.json": Need(About.MODEL, (READ,)),
    f"POST {MODEL}/infer": Need(About.MODEL, (INFER,)),
    f"POST {MODEL}/predict_all": Need(About.MODEL, (INFER,)),
    "GET /v1/models": Need(About.MODELS, SEE),
    f"GET {V1_MODEL}": Need(About.MODEL, SEE),
    f"POST {V1_MODEL}/:predict": Need(About.MODEL, (INFER,)),
    "POST /v2/repository/index": Need(About.MODELS, SEE),
    "POST /v2/repository/models/{model}/load": Need(About.MODEL, (OPERATE,)),
    "POST /v2/repository/models/{model}/unload": Need(About.MODEL, (OPERATE,)),
    "* /models/{model}/app": Need(About.MODEL, (INFER,)),
}
"""By method and pattern; `*` is every method, and all that is below the path."""

_INFERENCE = "/inference.GRPCInferenceService/"

RPC: dict[str, Need] = {
    f"{_INFERENCE}ServerLive": OPEN,
    f"{_INFERENCE}ServerReady": OPEN,
    f"{_INFERENCE}ServerMetadata": Need(About.MODELS, SEE),
    f"{_INFERENCE}ModelReady": Need(About.MODEL, SEE),
    f"{_INFERENCE}ModelMetadata": Need(About.MODEL, SEE),
    f"{_INFERENCE}ModelConfig": Need(About.MODEL, (READ,)),
    f"{_INFERENCE}ModelStatistics": Need(About.MODEL, (READ,)),
    f"{_INFERENCE}ModelInfer": Need(About.MODEL, (INFER,)),
    f"{_INFERENCE}RepositoryIndex": Need(About.MODELS, SEE),
    f"{_INFERENCE}RepositoryModelLoad": Need(About.MODEL, (OPERATE,)),
    f"{_INFERENCE}RepositoryModelUnload": Need(About.MODEL, (OPERATE,)),
    "/grpc.health.v1.Health/Check": OPEN,
    "/grpc.health.v1.Health/Watch": OPEN,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Need(About.MODELS, SEE),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Need(About.MODELS, SEE),
}
"""By path. `ModelStatistics` without a name is about all models; health of a model is told to those who may see it."""


def http(method: str, pattern: str) -> Need:
    """What a route needs.

    Raises:
        KeyError: it is not in the table.
    """
    return HTTP[f"{method} {pattern}"]


def rpc(path: bytes) -> Need:
    """What a gRPC method needs.

    Raises:
        KeyError: it is not in the table.
    """
    return RPC[path.decode()]
