"""What a model version is told to be (`ModelSpec`), and how far it has come (`ModelState`).

A `ModelSpec` is an immutable value, made once at the edge (folder scan, `model.yaml`, later the registry) and passed
down; it crosses the process border to the worker as a message.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from shoal.core.types import ParameterValue, TensorSpec


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """How requests of a model version are put together.

    Attributes:
        policy: ``adaptive`` never waits while a worker is idle; ``fixed`` waits up to `max_wait_ms` for a full batch.
        max_size: rows in a batch, or None for ``auto``: starts at 4, moves between 1 and 64 with the measured cost.
        max_wait_ms: how long the first request of a batch may wait for company.
        queue_rows: rows that may wait; above it requests are shed.
        queue_bytes: bytes of bodies that may wait.
        queue_seconds: how long a request may wait before it is shed, or None: until its own deadline.
        latency_target_ms: what ``auto`` keeps a batch's time under, or None.
    """

    policy: Literal["adaptive", "fixed"] = "adaptive"
    max_size: int | None = None
    max_wait_ms: float = 20.0
    queue_rows: int = 16_384
    queue_bytes: int = 256 * 1024 * 1024
    queue_seconds: float | None = None
    latency_target_ms: float | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker of the model may use.

    Attributes:
        workers: worker processes.
        threads: threads of BLAS, OpenMP and the frameworks; 1 keeps neighbours' times steady.
        memory_bytes: memory of one worker, or None: no limit of its own.
        cpu: processors that one worker may use, where the kernel lets us say so, or None: no limit of its own.
        timeout_seconds: how long a request may take, end to end, unless the caller asks for less.
        execution_seconds: how long one batch may run before its worker counts as hung; None: `timeout_seconds`.
        load_seconds: how long loading may take.
        max_requests: requests after which a worker is replaced between two batches, or None: never.
    """

    workers: int = 1
    threads: int = 1
    memory_bytes: int | None = None
    cpu: float | None = None
    timeout_seconds: float = 60.0
    execution_seconds: float | None = None
    load_seconds: float = 300.0
    max_requests: int | None = None

    @property
    def execution(self) -> float:
        """How long one batch may run, in seconds."""
        return self.timeout_seconds if self.execution_seconds is None else self.execution_seconds


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a model, ready to be run by a worker.

    Attributes:
        name: what callers use in the path.
        version: a number as text, or "" for a model without versions.
        path: the artifact: an absolute file or folder.
        runtime: which adapter (`sklearn`, `onnx`, `python`, ...).
        implementation: ``module:Class`` inside the folder, for runtime `python`.
        trust: "code" when the artifact may run code at load (pickle and kin, `python`); "" otherwise.
        inputs, outputs: what the author declares; empty: what the format knows.
        parameters: passed to the adapter (runtime's own options).
        warmup: V2 requests as JSON text, run at load.
        batchable: False keeps requests apart; None: find out at load (the batch contract).
        pure: whether a request may run again when its worker died.
        hedge_after_ms: after how long without an answer a request is sent to a second proxy as well, or None: never;
            for pure models of a node that is split over processes.
        deterministic: whether the same request always has the same answer; without that none is kept in a cache.
        allow_nonfinite: whether NaN and infinities may come in and go out.
        network: whether it asks for the network; the node's settings say whether it gets it. None: it does not;
            False: it may not have it, whatever those say.
        environment: environment variables of the worker.
        app: ``module:asgi_app`` of an ASGI app that is served beside the model, or "".
        batching, limits: see there.
        digest: of the artifact's manifest, if it is registered; it names the content, whatever the path.
        tenant: the namespace it belongs to; "" for files that nobody registered.
        placement: ``dedicated`` workers of its own, or a seat in the workers of a ``shared`` pool.
        pool: the shared pool's name.
        pinned: never evicted from its shared pool.
        python: the interpreter of the worker's own environment; "" for the node's.
    """

    name: str
    path: str
    runtime: str
    version: str = ""
    implementation: str = ""
    trust: Literal["", "code"] = ""
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    parameters: dict[str, ParameterValue | list[ParameterValue] | None] = {}
    warmup: tuple[str, ...] = ()
    batchable: bool | None = None
    pure: bool = True
    hedge_after_ms: float | None = None
    deterministic: bool = True
    allow_nonfinite: bool = False
    description: str = ""
    network: bool | None = None
    environment: dict[str, str] = {}
    app: str = ""
    batching: Batching = Batching()
    limits: Limits = Limits()
    digest: str = ""
    tenant: str = ""
    placement: Literal["dedicated", "shared"] = "dedicated"
    pool: str = "shared"
    pinned: bool = False
    python: str = ""


class ModelState(StrEnum):
    """Where a served model version stands; the words of the V2 repository index."""

    LOADING = "LOADING"
    READY = "READY"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"
