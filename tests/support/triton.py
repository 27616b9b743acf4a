"""Triton's own clients, made fit for a test run."""

from __future__ import annotations

import tritonclient.grpc
import tritonclient.http


class HttpClient(tritonclient.http.InferenceServerClient):  # type: ignore[misc]
    """Closed by the test alone: left to the garbage collector it would close itself in whichever thread comes by."""

    def __del__(self) -> None:
        pass


class GrpcClient(tritonclient.grpc.InferenceServerClient):  # type: ignore[misc]
    """See `HttpClient`."""

    def __del__(self) -> None:
        pass
