"""The caller's side: call models over one HTTP/2 connection, REST or gRPC, from Python.

    with Client("http://127.0.0.1:8080") as client:
        client.predict("iris", [[5.1, 3.5, 1.4, 0.2]])

Read in this order: `aio` (the client; `sync` is its shell), `inputs` (what callers pass), `rest` and `grpc` (operations
as requests), `caller` (deadlines and retries), `channel` and `link` (the connection). `load` and `histogram` measure.
"""

from shoal.client.address import Tls
from shoal.client.aio import AsyncClient
from shoal.client.caller import Unreachable
from shoal.client.operations import ModelEntry, PartialFailure, ServerMetadata
from shoal.client.retry import Retries
from shoal.client.sync import Client
from shoal.core.types import InferenceResponse, Tensor

__all__ = [
    "AsyncClient",
    "Client",
    "InferenceResponse",
    "ModelEntry",
    "PartialFailure",
    "Retries",
    "ServerMetadata",
    "Tensor",
    "Tls",
    "Unreachable",
]
